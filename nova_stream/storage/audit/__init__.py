"""Caches against a recount of the rows, and what brings them back."""
