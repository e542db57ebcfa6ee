"""What a token of the API may do: the scopes and their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

#: ``metrics``: the API's own numbers. ``stats``: figures, jobs, alerts and the stream's state.
#: ``documents``: whatever rows hold (prompts, responses, e-mail addresses, details, errors).
#: ``publish``: change events and mutations. ``admin``: jobs, dead letters and the audit trail.
Scope = Literal["metrics", "stats", "documents", "publish", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: Names of several scopes at once.
GROUPS: Mapping[str, tuple[Scope, ...]] = {"read": ("stats", "documents")}

#: Every name that may be given to a token. None but a group contains another.
NAMES: tuple[str, ...] = (*SCOPES, *GROUPS)


def scopes_of(names: Iterable[str]) -> frozenset[str]:
    """The scopes that these names stand for."""
    return frozenset(scope for name in names for scope in GROUPS.get(name, (name,)))


def named(scopes: Iterable[str]) -> str:
    """Scopes as a sentence has them, in their usual order, groups by their names."""
    left = set(scopes)
    names = []
    for name, group in GROUPS.items():
        if left.issuperset(group):
            names.append(name)
            left.difference_update(group)
    return ", ".join([*names, *(scope for scope in SCOPES if scope in left)])
