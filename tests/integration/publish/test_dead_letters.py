"""``nova-stream dead-letters``: found, shown, published again as they were, set aside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from nova_stream.cli.main import run
from nova_stream.events.change import Entity, VersionKind
from nova_stream.events.versions import generation_number
from nova_stream.kafka.large_batches import LARGE
from nova_stream.settings import Settings
from nova_stream.storage.database import connect
from nova_stream.storage.dead_letters import insert as dead_letters
from nova_stream.storage.dead_letters.insert import FailedRecord, dead_letter

from .topics import make_topics, read_all

pytestmark = pytest.mark.integration

PLAIN = b'{"op": "u", "after": {"id": "u-1"}}'
WITH_SEQ = b'{"op": "u", "after": {"id": "u-1"}, "source": {"seq": 7}}'
WITH_LSN = b'{"op": "u", "after": {"id": "u-1"}, "source": {"lsn": 8}}'


class Record(NamedTuple):
    """A record that could not be applied."""

    offset: int
    value: bytes | None
    key: bytes | None = b"u-1"
    headers: Any = ()
    timestamp: int = 1771588800000


@pytest.fixture
def database(
    cli_environment: Settings, migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings of topics and a migrated database; the environment says the same."""
    monkeypatch.setenv("NOVA_DATABASE_URL", migrated_database)
    settings = cli_environment.model_copy(
        update={"database_url": type(cli_environment.database_url)(migrated_database)}
    )
    make_topics(settings)
    return settings


def letter(settings: Settings, record: Record, reason: str = "test", **fields: Any) -> FailedRecord:
    place = {"partition": 1, "generation": 0, **fields}
    return dead_letter(
        settings.topic(Entity.USERS),
        place["partition"],
        place["generation"],
        record,
        reason,
        f"the message of {reason}",
    )


def put(settings: Settings, letters: Sequence[FailedRecord]) -> None:
    async def insert() -> None:
        connection = await connect(settings, "test")
        try:
            for one in letters:
                await dead_letters.insert(connection, [one])
        finally:
            await connection.close()

    asyncio.run(insert())


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> dict[int, dict[str, Any]]:
    capsys.readouterr()
    assert run(["dead-letters", "list", "--json", *options]) == 0
    return {item["id"]: item for item in json.loads(capsys.readouterr().out)["items"]}


def test_they_are_listed_by_topic_reason_and_state(
    database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["dead-letters", "list"]) == 0
    assert capsys.readouterr().out == "no dead letters\n"
    put(database, [letter(database, Record(n, PLAIN), f"reason_{n % 2}") for n in range(5)])

    assert list(listed(capsys)) == [5, 4, 3, 2, 1]
    assert list(listed(capsys, "--limit", "2")) == [5, 4]
    assert list(listed(capsys, "--reason", "reason_1")) == [4, 2]
    assert list(listed(capsys, "--topic", "nowhere")) == []
    assert list(listed(capsys, "--state", "retried")) == []
    assert list(listed(capsys, "--state", "open", "--topic", database.topic(Entity.USERS))) != []
    assert listed(capsys)[1] == listed(capsys)[1] | {
        "offset": 0,
        "partition": 1,
        "attempts": 1,
        "size": len(PLAIN),
        "timestamp": "2026-02-20T12:00:00.000Z",
        "detail": "the message of reason_0",
    }

    assert run(["dead-letters", "list", "--limit", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["id", "state"],
        ["5", "open"],
        ["4", "open"],
    ]
    assert lines[3] == "2 of 5; --limit 5 shows all"


def test_bytes_are_shown_as_text_or_hexadecimal_and_never_steer_the_terminal(
    database: Settings, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    strange = "\x1b[31mred\nline ü".encode()
    headers = [("trace", b"1"), ("bytes", b"\xfe")]
    put(database, [letter(database, Record(0, strange, b"\xff", headers))])
    put(
        database,
        [letter(database, Record(1, b"\xff\x00", None)), letter(database, Record(2, None))],
    )

    assert run(["dead-letters", "show", "1"]) == 0
    text = capsysbinary.readouterr().out.decode()
    assert "\x1b" not in text
    assert "\\x1b[31mred\\nline ü" in text.splitlines()
    assert "key         hex ff" in text.splitlines()
    assert "header      trace: 1" in text.splitlines()
    assert "header      bytes: hex fe" in text.splitlines()
    run(["dead-letters", "show", "2"])
    assert b"hex ff00" in capsysbinary.readouterr().out.splitlines()

    run(["dead-letters", "show", "1", "--raw"])
    assert capsysbinary.readouterr().out == strange
    run(["dead-letters", "show", "3", "--json"])
    shown = json.loads(capsysbinary.readouterr().out)
    assert (shown["valueText"], shown["valueBase64"], shown["key"]) == (None, None, "u-1")


def test_retried_ones_are_in_kafka_as_they_were_with_the_version_that_they_had(
    database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = [("trace", b"1")]
    again = [("nova_version", b"offset:4")]
    put(
        database,
        [
            letter(database, Record(40, PLAIN, headers=headers), partition=2),
            letter(database, Record(41, WITH_SEQ), partition=2),
            letter(database, Record(42, WITH_LSN), partition=2),
            letter(database, Record(43, PLAIN), partition=2, generation=3),
            letter(database, Record(44, PLAIN, headers=again), partition=2),
            letter(database, Record(45, b"\xffno JSON", None), partition=2),
        ],
    )

    assert run(["dead-letters", "retry", "--all"]) == 0

    assert capsys.readouterr().out == "retried 6\n"
    found = asyncio.run(read_all(database, Entity.USERS, decoded=False))
    assert [(r.partition, r.key, r.value, r.headers) for r in found] == [
        (2, b"u-1", PLAIN, {"trace": b"1", "nova_version": b"offset:40"}),
        (2, b"u-1", WITH_SEQ, {}),
        (2, b"u-1", WITH_LSN, {"nova_version": b"lsn:0:2:42:0"}),
        (2, b"u-1", PLAIN, {"nova_version": f"offset:{generation_number(43, 3)}".encode()}),
        (2, b"u-1", PLAIN, {"nova_version": b"offset:4"}),
        (2, None, b"\xffno JSON", {"nova_version": b"offset:45"}),
    ]
    assert {(i["state"], i["attempts"]) for i in listed(capsys).values()} == {("retried", 2)}
    assert run(["dead-letters", "retry", "--all"]) == 0
    assert capsys.readouterr().out == "retried 0\n"


def test_a_batch_that_was_kept_as_one_letter_is_published_record_by_record(
    database: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    builder = DefaultRecordBatchBuilder(2, 1, 0, -1, -1, -1, 2**20)
    for number, value in enumerate([PLAIN, WITH_SEQ] * 15):
        assert builder.append(number, 1771588800000, b"u-1", value, [("trace", b"1")])
    batch = bytearray(builder.build())
    batch[0:8] = (70).to_bytes(8, "big")  # as a broker does it
    put(database, [letter(database, Record(99, LARGE + bytes(batch), None), partition=2)])
    put(database, [letter(database, Record(100, PLAIN))])

    assert run(["dead-letters", "unpack", "1"]) == 0
    assert capsys.readouterr().out == "unpacked 30\n"
    found = asyncio.run(read_all(database, Entity.USERS, decoded=False))
    assert [(r.partition, r.value, r.headers) for r in found] == [
        (2, PLAIN, {"trace": b"1", "nova_version": f"offset:{70 + n}".encode()})
        if n % 2 == 0
        else (2, WITH_SEQ, {"trace": b"1"})
        for n in range(30)
    ]
    assert listed(capsys)[1]["state"] == "retried"
    assert run(["dead-letters", "unpack", "2"]) == 2
    assert "dead letter 2 cannot be unpacked: it is one record" in capsys.readouterr().err
    assert listed(capsys)[2]["state"] == "open"


def test_headers_are_in_kafka_again_as_they_were(database: Settings) -> None:
    headers = [("x", None), ("x", b""), ("x", b"1"), ("", b"no name"), ("X", None), ("a\0b", b"2")]
    put(database, [letter(database, Record(40, WITH_SEQ, headers=headers))])
    assert run(["dead-letters", "retry", "--all"]) == 0
    (found,) = asyncio.run(read_all(database, Entity.USERS, decoded=False))
    assert found.all_headers == headers


def test_the_version_of_a_retried_record_is_its_old_one(database: Settings) -> None:
    put(database, [letter(database, Record(7, PLAIN)), letter(database, Record(8, WITH_SEQ))])

    assert run(["dead-letters", "retry", "1", "2"]) == 0

    first, second = [r.change for r in asyncio.run(read_all(database, Entity.USERS))]
    assert first is not None
    assert second is not None
    assert (first.kind, first.number) == (VersionKind.OFFSET, 7)
    assert (second.kind, second.number) == (VersionKind.SEQ, 7)


def test_only_those_asked_for(database: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    put(database, [letter(database, Record(n, PLAIN), f"reason_{n % 2}") for n in range(45)])

    assert run(["dead-letters", "retry", "--all", "--reason", "reason_1"]) == 0
    assert run(["dead-letters", "retry", "1", "1", "3"]) == 0
    assert run(["dead-letters", "discard", "5", "7", "--json"]) == 0

    assert capsys.readouterr().out == 'retried 22\nretried 2\n{"discarded": 2}\n'
    states = {id_: item["state"] for id_, item in listed(capsys, "--limit", "99").items()}
    retried = {*range(2, 46, 2), 1, 3}
    assert {id_ for id_, state in states.items() if state == "retried"} == retried
    assert {id_ for id_, state in states.items() if state == "discarded"} == {5, 7}
    assert len(asyncio.run(read_all(database, Entity.USERS))) == len(retried)


def test_wrong_numbers_and_missing_topics(
    database: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database, [letter(database, Record(1, PLAIN))])
    for words in (["show", "9"], ["retry", "1", "9", "8"], ["discard", "9"]):
        assert run(["dead-letters", *words]) == 2
        assert "see: nova-stream dead-letters list" in capsys.readouterr().err
    elsewhere = letter(database, Record(1, PLAIN))
    elsewhere.topic = "nowhere"
    put(database, [elsewhere])

    assert run(["dead-letters", "retry", "2"]) == 1

    assert "the topic nowhere does not exist" in capsys.readouterr().err
    assert {item["state"] for item in listed(capsys).values()} == {"open"}
