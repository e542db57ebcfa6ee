"""Hypothesis without a time limit an example: a busy machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("events", deadline=None)
settings.load_profile("events")
