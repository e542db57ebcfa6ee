"""Capturing: the changes of other databases, published as change events."""
