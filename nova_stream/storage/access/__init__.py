"""Who may what: API tokens, the trail of who did what, and Postgres' own roles."""
