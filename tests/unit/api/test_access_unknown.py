"""Unknown is no: whatever breaks of what the decision needs, at whatever step and in whatever
order, nobody is let in whom Postgres has not let in lately.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_stream.api.auth import stored_tokens
from nova_stream.api.auth.access import Access, Confirm
from nova_stream.api.auth.stored_tokens import StoredTokens
from nova_stream.api.auth.tokens import Tokens
from nova_stream.api.database import Database
from nova_stream.api.problems import ProblemError
from nova_stream.errors import DatabaseUnavailableError, SchemaVersionError
from nova_stream.settings import load_settings
from nova_stream.storage.access import tokens as stored
from nova_stream.storage.access.tokens import digest_of

START = datetime(2026, 2, 20, tzinfo=UTC)
#: The steps of a look at the stored tokens, and the note of a use.
STEPS = ("connect", "known", "any", "leave", "note")
FAULTS: tuple[Any, ...] = (
    "hang",
    ConnectionRefusedError(),
    ConnectionResetError(),
    TimeoutError(),
    DatabaseUnavailableError("away"),
    SchemaVersionError("old"),
    asyncpg.InterfaceError("closed"),
    asyncpg.AdminShutdownError("broken"),
    asyncpg.CannotConnectNowError("broken"),
    asyncpg.InsufficientPrivilegeError("broken"),
    asyncpg.UndefinedTableError("broken"),
    asyncpg.QueryCanceledError("broken"),
)


def name_of(fault: Any) -> str:
    return fault if isinstance(fault, str) else type(fault).__name__


#: Seconds for which a decision may be old: with data of the database, without, and while no token
#: is known.
ALLOWED_AGE: dict[Confirm, float] = {"fresh": 2.0, "known": 60.0, "never": 60.0}
OPEN_AGE = 5.0
SECRETS = ("nova_a", "nova_b")


class World:
    """A Postgres with tokens, whose every step can be broken, and the time."""

    def __init__(self) -> None:
        self.time = 100.0
        self.broken: dict[str, Any] = {}
        self.valid: set[str] = set()
        self.ever = False
        #: What was true from when on: whether a token was ever there, and those that are valid.
        self.history = [(float("-inf"), False, frozenset[str]())]

    def change(self) -> None:
        self.ever |= bool(self.valid)
        self.history.append((self.time, self.ever, frozenset(self.valid)))

    def allowed(self, secret: str | None, age: float, open_age: float) -> bool:
        """Whether the caller was allowed at any time of so many last seconds."""
        ends = [at for at, _, _ in self.history[1:]] + [float("inf")]
        for (_, ever, valid), end in zip(self.history, ends, strict=True):
            if end > self.time - open_age and not ever:
                return True
            if end > self.time - age and secret in valid:
                return True
        return False

    async def step(self, name: str) -> None:
        fault = self.broken.get(name)
        if fault == "hang":
            await asyncio.Event().wait()
        if fault is not None:
            raise fault

    @asynccontextmanager
    async def brief_look(self) -> AsyncIterator[World]:
        await self.step("connect")
        yield self
        await self.step("leave")

    async def fetch(self, statement: str) -> list[dict[str, Any]]:
        assert statement == stored.KNOWN
        await self.step("known")
        return [
            {
                "id": number,
                "name": secret,
                "digest": digest_of(secret),
                "scopes": ["stats"],
                "expires_at": None,
            }
            for number, secret in enumerate(SECRETS)
            if secret in self.valid
        ]

    async def fetchval(self, statement: str) -> bool:
        assert statement == stored.ANY
        await self.step("any")
        return self.ever

    async def execute(self, statement: str, *_given: Any) -> None:
        assert statement == stored.USED
        await self.step("note")

    def tokens(self) -> Tokens:
        stored = StoredTokens(
            cast("Database", self),
            lambda: START + timedelta(seconds=self.time),
            lambda: self.time,
        )
        return Tokens(load_settings(api_token=None, api_tokens=None), stored)


class Request:
    """A request between its check and its answer."""

    def __init__(self, tokens: Tokens, secret: str | None, confirm: Confirm) -> None:
        self.access = Access(tokens, secret)
        self.tokens = tokens
        self.confirm = confirm

    async def begins(self) -> bool:
        await self.tokens.refresh()
        try:
            self.access.check("stats", confirm=self.confirm)
        except (ProblemError, SchemaVersionError) as error:
            assert getattr(error, "status", 503) in {401, 503}
            return False
        return True

    async def is_answered(self) -> bool:
        try:
            await self.access.confirm()
        except (ProblemError, SchemaVersionError) as error:
            assert getattr(error, "status", 503) in {401, 503}
            return False
        return True


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_tokens, "_LIMIT_S", 0.002)


CHANGES = st.one_of(
    st.tuples(st.just("break"), st.sampled_from(STEPS), st.sampled_from(FAULTS)),
    st.tuples(st.just("mend"), st.none(), st.none()),
    st.tuples(st.just("make"), st.sampled_from(SECRETS), st.none()),
    st.tuples(st.just("revoke"), st.sampled_from(SECRETS), st.none()),
    st.tuples(
        st.just("wait"), st.sampled_from([0.1, 0.9, 1.1, 2.5, 4.0, 6.0, 30.0, 70.0]), st.none()
    ),
)
ASKED = st.tuples(
    st.just("ask"),
    st.sampled_from([None, "nova_other", *SECRETS]),
    st.tuples(st.sampled_from(sorted(ALLOWED_AGE)), st.lists(CHANGES, max_size=3)),
)


def happen(world: World, what: str, first: Any, second: Any) -> None:
    if what == "break":
        world.broken[first] = second
    elif what == "mend":
        world.broken.clear()
    elif what == "wait":
        world.time += first
    else:
        world.valid.symmetric_difference_update(
            {first} if (first in world.valid) == (what == "revoke") else ()
        )
        world.change()


@settings(max_examples=400, deadline=None)
@given(st.lists(CHANGES | ASKED, max_size=12))
def test_nobody_is_let_in_whom_postgres_has_not_let_in_lately(steps: list[Any]) -> None:
    async def run() -> None:
        world = World()
        tokens = world.tokens()
        for what, first, second in steps:
            if what != "ask":
                happen(world, what, first, second)
                continue
            confirm, meanwhile = second
            request = Request(tokens, first, confirm)
            if not await request.begins():
                continue
            assert world.allowed(first, 60.0, OPEN_AGE)
            for change in meanwhile:
                happen(world, *change)
            if await request.is_answered() and confirm != "never":
                age = ALLOWED_AGE[confirm]
                assert world.allowed(first, age, 2.0), (first, confirm)
        await tokens.close()

    asyncio.run(run())


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
@pytest.mark.parametrize("step", STEPS[:-1])
@pytest.mark.parametrize("stored", [False, True])
async def test_a_look_that_breaks_at_any_step_lets_nobody_in(
    step: str, fault: Any, stored: bool
) -> None:
    world = World()
    world.valid = {"nova_a"} if stored else set()
    world.change()
    world.broken[step] = fault
    tokens = world.tokens()
    reached = step != "any" or not stored  # with a token known, nobody asks whether there is any
    for secret in (None, "nova_a", "nova_other"):
        for confirm in ALLOWED_AGE:
            let_in = await Request(tokens, secret, confirm).begins()
            assert let_in == (not reached and secret == "nova_a"), (secret, confirm)
    world.broken.clear()
    world.time += 3
    assert await Request(tokens, "nova_a" if stored else None, "fresh").begins()
    await tokens.close()


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
@pytest.mark.parametrize("step", STEPS[:-1])
async def test_what_breaks_between_check_and_answer_keeps_the_answer(step: str, fault: Any) -> None:
    world = World()
    world.valid = {"nova_a", "nova_b"}
    world.change()
    tokens = world.tokens()
    request = Request(tokens, "nova_a", "fresh")
    assert await request.begins()
    world.broken[step] = fault
    world.time += 3
    assert await request.is_answered() == (step == "any")
    await tokens.close()


async def test_a_note_that_hangs_holds_up_nobody() -> None:
    world = World()
    world.valid = {"nova_a"}
    world.change()
    world.broken["note"] = "hang"
    tokens = world.tokens()
    async with asyncio.timeout(1):
        assert await Request(tokens, "nova_a", "fresh").begins()
        await tokens.close()


async def test_a_stream_gets_no_row_while_nobody_can_tell() -> None:
    world = World()
    world.valid = {"nova_a"}
    world.change()
    tokens = world.tokens()
    await tokens.refresh()
    assert tokens.allows("nova_a", "stats") is True
    assert tokens.allows("nova_b", "stats") is False
    world.broken["connect"] = "hang"
    world.time += 61
    await tokens.refresh()
    assert tokens.allows("nova_a", "stats") is None
    assert tokens.allows(None, "stats") is False


async def test_a_body_that_was_long_on_its_way_is_checked_again() -> None:
    world = World()
    world.valid = {"nova_a"}
    world.change()
    tokens = world.tokens()
    request = Request(tokens, "nova_a", "never")
    assert await request.begins()
    await request.access.again()
    world.valid.clear()
    world.change()
    world.time += 3
    with pytest.raises(ProblemError, match="not one of those"):
        await request.access.again()
    await tokens.close()
