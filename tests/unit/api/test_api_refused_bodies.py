"""A body that was refused is gone with its answer, not when Python next collects circles."""

from __future__ import annotations

import asyncio
import gc
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.api.problems import ProblemError, without_frames
from nova_stream.settings import load_settings
from tests.unit.api.test_api_app import NOWHERE, connect

MB = 1 << 20
BLANKS = b" " * (9 * MB)
#: What is wrong with a body, and the body as it is sent.
BODIES = {
    "too large": gzip.compress(BLANKS + BLANKS),
    "too many values": gzip.compress(b"[" + b"1," * (4 * MB) + b"1]"),
    "too deep": gzip.compress(b"[" * (8 * MB)),
    "no JSON": gzip.compress(b"[" + BLANKS + b"x"),
    "cut off": gzip.compress(BLANKS)[:-8],
    "not packed so": zlib.compress(BLANKS),
    "a bad event": gzip.compress(b"[" + BLANKS + b'{"entity": "tasks"}]'),
}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(load_settings(**NOWHERE, api_token="all"))
    async with connect(app, "http://nova.example") as found:
        yield found


@pytest.fixture
def measured() -> Iterator[None]:
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("path", ["/api/v1/events", "/api/mutation", "/api/query"])
@pytest.mark.parametrize("wrong", BODIES)
async def test_refused_bodies_leave_nothing(
    client: httpx.AsyncClient, path: str, wrong: str
) -> None:
    headers = {"Authorization": "Bearer all", "Content-Encoding": "gzip"}
    for _ in range(6):
        answer = await client.post(path, content=BODIES[wrong], headers=headers)
        assert 400 <= answer.status_code < 500
        await asyncio.sleep(0)
    # The thread that parses large bodies may have the last one still.
    assert tracemalloc.get_traced_memory()[0] < 2 * len(BLANKS)


def test_errors_behind_an_error_let_their_frames_go_too() -> None:
    with pytest.raises(ProblemError) as caught:
        try:
            try:
                NOWHERE["x"]
            except KeyError:
                raise ValueError from None
        except ValueError as error:
            raise ProblemError(422, "x", "y") from error
    outer = caught.value
    inner = outer.__cause__
    assert inner is not None
    innermost = inner.__context__
    without_frames(outer)
    assert (outer.__traceback__, inner.__traceback__) == (None, None)
    assert innermost is not None
    assert innermost.__traceback__ is None
