"""Alerts, and the webhook that they are sent to."""
