"""Profiles of hypothesis for all tests."""

from __future__ import annotations

from hypothesis import settings

#: ``pytest --hypothesis-profile=thorough FILE``: for a quiet machine and a long break.
settings.register_profile("thorough", max_examples=3000, deadline=None)
