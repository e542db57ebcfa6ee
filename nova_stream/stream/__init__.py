"""Faust: the only place that knows it."""
