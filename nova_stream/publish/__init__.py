"""The way in: publishers of change events."""
