"""``nova-stream publish`` against a real Kafka, as somebody at a terminal meets it."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nova_stream.cli.main import run
from nova_stream.events.change import Entity
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings

from .topics import Published, ends_of, make_topics, read_all

pytestmark = pytest.mark.integration


@pytest.fixture
def topics(cli_environment: Settings) -> Settings:
    make_topics(cli_environment)
    return cli_environment


def user(number: int, **fields: Any) -> str:
    return json.dumps({"entity": "users", "after": {"id": f"u-{number}"}, **fields})


def published(settings: Settings) -> list[Published]:
    return asyncio.run(read_all(settings, Entity.USERS))


def test_a_file(topics: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text("\n".join(user(number, seq=number) for number in range(250)))

    assert run(["publish", str(file), "--batch", "100"]) == 0

    summary, token = capsys.readouterr().out.splitlines()
    assert summary == "published 250 changes"
    found = published(topics)
    assert PositionToken.decode(token) == ends_of(found)
    assert {record.change.number for record in found if record.change} == set(range(250))


def test_standard_input_and_json(
    topics: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = f"{user(1)}\n\nnot JSON\n{user(2)}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))

    assert run(["publish", "-", "--skip-bad", "--json"]) == 0

    output = capsys.readouterr()
    answer = json.loads(output.out)
    assert (answer["published"], answer["skipped"]) == (2, 1)
    assert PositionToken.decode(answer["token"]) == ends_of(published(topics))
    assert output.err.startswith("line 3: bad_json: ")


def test_of_a_file_with_a_bad_line_nothing_is_sent(
    topics: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text("\n".join([*map(user, range(1000)), user(1, op="x"), user(1, seq=-1)]))

    assert run(["publish", str(file)]) == 1

    output = capsys.readouterr()
    first, second, verdict = output.err.splitlines()
    assert first == "line 1001: bad_op: $.op is 'x'; allowed is c, u, r or d"
    assert second.startswith("line 1002: bad_version: $.seq is -1; allowed is ")
    assert verdict == (
        "error: 2 of 1002 lines are bad, nothing was sent; correct them, or leave them out with "
        "--skip-bad"
    )
    assert output.out == ""
    assert published(topics) == []


def test_without_topics(
    cli_environment: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "changes.jsonl"
    file.write_text(user(1))

    assert run(["publish", str(file)]) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: the topic {cli_environment.topic_prefix}.users does not exist")
