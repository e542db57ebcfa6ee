"""What one request was allowed, and whether that still holds when its answer goes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from typing import Any, Literal, cast

from nova_stream.api.auth.tokens import Caller, Tokens
from nova_stream.scopes import Scope

#: What an answer waits for before it goes out. ``fresh``: the access is looked up again after the
#: data were read. ``known``: it stands by what is known. ``never``: nothing of the database is in
#: it, or what was asked for has been done.
Confirm = Literal["fresh", "known", "never"]


class Access:
    """What one request was allowed, by which token: its answer goes out if that still holds."""

    def __init__(self, tokens: Tokens, secret: str | None) -> None:
        self._tokens = tokens
        self._allowed: list[tuple[tuple[Scope, ...], Confirm]] = []
        #: The token that the request presents.
        self.secret = secret
        #: Whose token it is, once one was looked at; None also while the API is open.
        self.caller: Caller | None = None
        #: What was allowed, once something was.
        self.granted: frozenset[str] = frozenset()
        #: The scopes of those who act, where the request needs one of them.
        self.acts: frozenset[str] = frozenset()
        #: Whether the audit trail has that it begins.
        self.begun = False
        #: What the request is about, where its path does not say it, and how much of what it
        #: changes.
        self.about: str | None = None
        #: What came of it, where the answer's status does not say it.
        self.outcome: str | None = None
        self.changed: Counter[str] = Counter()

    def check(self, *scopes: Scope, confirm: Confirm = "fresh") -> None:
        """Allow what one of ``scopes`` allows, if the request's token has it.

        Raises ProblemError 401 or 403 unless it has, 503 or SchemaVersionError while Postgres
        cannot tell.
        """
        self.caller = caller = self._tokens.identify(self.secret)
        if _ACTING.issuperset(scopes):
            self.acts |= set(scopes)
        if caller is None:
            self.granted |= set(scopes)
        else:
            caller.need(scopes)
            self.granted |= caller.scopes.intersection(scopes)
        self._allowed.append((scopes, confirm))

    async def confirm(self) -> None:
        """Raise ProblemError unless what was allowed is allowed by what is known now.

        Postgres may have stood still between the check and the data, and a token made or revoked
        meanwhile. Costs nothing while what is known is fresh.
        """
        for scopes, confirm in self._allowed:
            if confirm == "never" or self._tokens.configured(self.secret):
                continue
            await self._tokens.refresh(insist=True)
            self._tokens.check(self.secret, *scopes)
            if not self._tokens.fresh and (confirm == "fresh" or self._tokens.open):
                raise self._tokens.undecided()

    async def again(self) -> None:
        """Raise ProblemError unless what was allowed still is: the body may have been long on its
        way.
        """
        await self._tokens.refresh()
        for scopes, _ in self._allowed:
            self._tokens.check(self.secret, *scopes)


#: What a request is about whose body says it, until that is read.
UNREADABLE = "(unreadable)"
#: Scopes that let somebody do something, or see what others have done.
_ACTING = frozenset({"publish", "admin"})
#: Where a request's scope has its Access.
ACCESS = "nova_stream.access"


def access_of(scope: MutableMapping[str, Any]) -> Access:
    """The access of a request to a protected path."""
    return cast("Access", scope[ACCESS])
