"""How far a capture has come, and who holds it."""
