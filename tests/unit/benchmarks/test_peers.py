"""The comparison with peers: its arguments, its table, its plain recount, what is left out."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.peers import nova_stream, parts
from benchmarks.peers.__main__ import PEERS, chosen, parse
from benchmarks.peers.figures import (
    LAST,
    Row,
    count_rows,
    events_of,
    figures_of,
    last_ids,
    wrong_rows,
    wrong_statistics,
)
from benchmarks.peers.peer import Peer, Start, UnavailableError
from benchmarks.peers.run import Left, Results, Sizes, measure, summary
from benchmarks.peers.table import COLUMNS, markdown, merged
from benchmarks.peers.trial import Backlog, Crash, Run
from nova_stream.kafka.records import partition_of
from nova_stream.local.jars import read_lock

ROWS: dict[tuple[str, str], Row] = {
    ("agents", "a1"): (1, "ATLAS", None, None),
    ("builds", "b1"): (2, None, "running", None),
    ("tasks", "t1"): (3, "ATLAS", "done", None),
    ("tasks", "t2"): (4, "ECHO", "failed", None),
    ("executions", "e1"): (5, "ATLAS", None, Decimal(100)),
    ("executions", "e2"): (6, "ATLAS", None, Decimal(201)),
}


def test_all_peers_are_there_and_begin_with_nova_stream() -> None:
    assert [peer.name for peer in PEERS] == [
        "nova-stream",
        "hand-written",
        "lean",
        "Faust, exact",
        "Kafka Streams",
        "Quix Streams",
        "Pathway",
        "Flink SQL",
    ]


def test_sizes_are_arguments() -> None:
    given = parse(["--events", "5", "--rounds", "2", "--seconds", "1", "--only", "flink", "LEAN"])
    assert (given.events, given.rounds, given.seconds) == (5, 2, 1.0)
    assert [peer.name for peer in chosen(given.only)] == ["nova-stream", "lean", "Flink SQL"]


def test_a_name_that_is_no_peers_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--only", "spark"])
    assert "no peer's name begins with spark" in capsys.readouterr().err


def test_the_recount_of_rows() -> None:
    figures = count_rows(ROWS)
    assert figures.agents == {"ATLAS": (1, 1, 0, 151.0), "ECHO": (1, 0, 1, 0.0)}
    assert figures.builds == (1, 0, 0, 1)


def test_rows_that_are_missing_too_much_or_others_are_named() -> None:
    wanted = count_rows(ROWS)
    assert wrong_rows(ROWS, wanted) == []
    missing = {place: row for place, row in ROWS.items() if place != ("tasks", "t1")}
    assert wrong_rows(missing, wanted) == ["tasks t1: None is not (3, 'ATLAS', 'done', None)"]
    older = ROWS | {("tasks", "t1"): (2, "ATLAS", "done", None)}
    more = ROWS | {("tasks", "t3"): (9, "ECHO", "done", None)}
    assert len(wrong_rows(older, wanted)) == len(wrong_rows(more, wanted)) == 1


def test_statistics_that_are_missing_too_much_or_others_are_named() -> None:
    wanted = count_rows(ROWS)
    agents = wanted.agents
    assert wrong_statistics(agents, wanted.builds, wanted) == []
    twice = agents | {"ECHO": (2, 0, 2, 0.0)}
    assert wrong_statistics(twice, wanted.builds, wanted) == [
        "ECHO: (2, 0, 2, 0.0) is not (1, 0, 1, 0.0)"
    ]
    assert wrong_statistics({"ATLAS": agents["ATLAS"]}, wanted.builds, wanted)
    assert wrong_statistics(agents | {"MARS": (1, 0, 0, 0.0)}, wanted.builds, wanted)
    assert wrong_statistics(agents, (1, 1, 0, 0), wanted) == [
        "builds: (1, 1, 0, 0) is not (1, 0, 0, 1)"
    ]


def test_the_events_have_duplicates_old_versions_moves_and_a_last_one_a_partition() -> None:
    lines = list(events_of(20_000, 8))
    newest: dict[tuple[str, str], tuple[int, str | None]] = {}
    duplicates = olds = moves = 0
    for line in lines:
        assert line.seq is not None
        place, agent = (line.entity.value, line.id), (line.after or {}).get("agent")
        seq, known = newest.get(place, (0, agent))
        duplicates += line.seq == seq
        olds += line.seq < seq
        moves += line.seq > seq and known != agent
        newest[place] = max(newest.get(place, (0, None)), (line.seq, agent))
    assert duplicates + olds > 100
    assert olds > 50
    assert moves > 100
    ids = [line.id for line in lines[-32:]]
    assert sorted(ids) == sorted(last_ids(8))
    assert [partition_of(one.encode(), 8) for one in ids[:8]] == list(range(8))
    assert figures_of(lines).agents[LAST] == (8, 8, 0, 1000.0)


def test_events_that_rows_show_as_applied_are_counted_up_to_their_version() -> None:
    versions = {("tasks", "t1"): [3, 4, 4, 6], ("tasks", "t2"): [5]}
    backlog = Backlog("p", 5, count_rows({}), versions)
    assert backlog.applied({}) == 0
    assert backlog.applied({("tasks", "t1"): 4}) == 2
    assert backlog.applied({("tasks", "t1"): 6, ("tasks", "t2"): 5}) == 5


def _results() -> Results:
    right, wrong = Run(1000.0, 3.0, 1.0, 50.0, [], []), Run(500.0, 6.0, 9.0, 800.0, [], ["X: 1"])
    return Results(
        {"nova-stream": [right], "Flink SQL": [wrong], "lean": [right._replace(rate=1500.0)]},
        {
            "nova-stream": Crash(30, 0, 9, 8.4, [], []),
            "Flink SQL": Crash(40, 25, 9, 31.0, ["tasks t1"], []),
        },
        {"lean": {"idle": {"p50": 4.2, "p99": 9.6, "probes": 9}}},
        [Left("Pathway", "everything", "its wheel\ncannot be had")],
    )


def test_the_table_says_what_was_found_and_what_was_left_out() -> None:
    peers = [peer for peer in PEERS if peer.name in {"nova-stream", "lean", "Flink SQL"}]
    text = markdown(summary(peers, Sizes(), _results()))
    lines = text.splitlines()
    assert {line.count("|") for line in lines[:5]} == {len(COLUMNS) + 1}
    cells = {row[0]: row[1:] for row in (re.split(r" \| ", one.strip("| ")) for one in lines[2:5])}
    assert cells["nova-stream"][:6] == ["1,000", "1.00", "yes", "yes", "0 of 30", "yes (8 s)"]
    assert cells["lean"][:5] == ["1,500", "1.50", "yes", "keeps none", "keeps none"]
    assert cells["lean"][5:7] == ["not measured", "4 / 10"]
    assert cells["Flink SQL"][:6] == ["500", "0.50", "yes", "NO", "25 of 40", "NO"]
    assert "LEFT OUT: **Pathway**, everything: its wheel cannot be had" in text


def test_a_run_in_parts_is_one_table() -> None:
    found = _results()
    peers = [peer for peer in PEERS if peer.name in {"nova-stream", "lean", "Flink SQL"}]
    nothing = Results({}, {}, {}, [])
    whole = summary(peers, Sizes(), found)
    first = summary(peers, Sizes(), nothing._replace(runs=found.runs, left=found.left))
    second = summary(peers, Sizes(), nothing._replace(crashes=found.crashes))
    third = summary(peers[1:], Sizes(), nothing._replace(fresh=found.fresh))
    assert markdown(merged(merged(first, second), third)).count("| nova-stream |") == 1
    lines = markdown(merged(merged(first, second), third)).splitlines()
    assert sorted(lines) == sorted(markdown(whole).splitlines())


def test_a_peer_whose_parts_cannot_be_had_is_left_out_loudly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def prepare() -> Start:
        raise UnavailableError("no such jar")

    said: list[str] = []
    peer = Peer("Absent", "nothing", "nothing", prepare, "", "")
    monkeypatch.setattr("benchmarks.peers.run.stack", _NoStack)
    sizes = Sizes(rounds=0, crash_events=0, seconds=0)
    result = measure(said.append, [peer], sizes)
    assert said == ["LEFT OUT: Absent: no such jar"]
    assert result["left_out"] == [{"name": "Absent", "what": "everything", "reason": "no such jar"}]


class _NoStack:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def test_parts_that_cannot_be_installed_are_said_to_be_unavailable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOVA_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "requirements.lock").write_text("no-hash-so-refused==1\n")
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(UnavailableError):
        parts.python(tmp_path)


@pytest.mark.parametrize("lock", ["compiler.lock", "flink/jars.lock", "kafka_streams/jars.lock"])
def test_all_jars_are_pinned(lock: str) -> None:
    jars = read_lock(Path(parts.__file__).parent / lock)
    assert jars
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)


def test_nova_stream_reads_its_statistics_from_its_caches() -> None:
    assert "agent_stats_cache" in str(nova_stream.PEER.agents)
