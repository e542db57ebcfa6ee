"""What readers ask: figures, their history, and what each is made of."""
