"""The way out: HTTP."""
