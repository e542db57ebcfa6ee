"""The clients in Python and TypeScript, against a stack that runs."""
