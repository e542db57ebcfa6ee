"""``nova-stream status``, ``agents`` and ``builds``, run as people run them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from nova_stream.cli.main import run
from nova_stream.local.ports import free_port
from nova_stream.settings import Settings

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]
Command = Callable[..., Awaitable[tuple[int, str, str]]]


def at(second: int) -> str:
    return f"2026-02-20T12:00:{second:02d}.000Z"


def line(entity: str, id_: str, **fields: Any) -> dict[str, Any]:
    return {"entity": entity, "after": {"id": id_, **fields}}


def task(id_: str, status: str, **fields: Any) -> dict[str, Any]:
    return line("tasks", id_, buildId="b-1", agent="MARS", status=status, **fields)


#: A build that failed, with a task that says why and one whose execution does.
LINES = [
    line("agents", "a-1", name="MARS", role="docs", createdAt=at(0)),
    line("builds", "b-1", prdName="Search 1", status="failed", startedAt=at(1), completedAt=at(9)),
    line("builds", "b-2", prdName="Upload", status="running", startedAt=at(2)),
    task("t-1", "done", title="Plan", createdAt=at(1), attempts=1),
    task("t-2", "failed", title="Do", createdAt=at(2), attempts=3, error="rate\x1blimit"),
    task("t-3", "failed", title="Test", createdAt=at(3)),
    line("executions", "x-1", taskId="t-3", agent="MARS", duration=1500, timestamp=at(4)),
    line(
        "executions", "x-2", taskId="t-3", agent="MARS", duration=500, timestamp=at(5), error="gate"
    ),
]


@pytest.fixture
async def command(
    nova_settings: Settings,
    nova_kafka: str,
    apply_lines: ApplyLines,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs a command line on a database with ``LINES``; its status and both outputs."""
    monkeypatch.setenv("NOVA_DATABASE_URL", nova_settings.database_url.get_secret_value())
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", nova_kafka)
    monkeypatch.setenv("NOVA_TOPIC_PREFIX", nova_settings.topic_prefix)
    monkeypatch.setenv("NOVA_CONSUMER_GROUP", nova_settings.topic_prefix)
    await apply_lines(LINES)

    async def run_it(*words: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(run, words)
        output = capsys.readouterr()
        return status, output.out, output.err

    return run_it


async def test_agents(command: Command) -> None:
    status, out, err = await command("agents")
    assert (status, err) == (0, "")
    head, row = out.splitlines()
    assert head.split() == [
        *("agent", "tasks", "done", "failed", "success"),
        *("mean", "status", "last", "active", "role"),
    ]
    assert row.split() == [
        "MARS",
        *["3", "1", "2", "33.33", "%", "1.0", "s", "idle"],
        at(5),
        "docs",
    ]

    (item,) = json.loads((await command("agents", "--json"))[1])["items"]
    assert (item["agentName"], item["failedTasks"], item["avgDuration"]) == ("MARS", 2, 1000)
    one = json.loads((await command("agents", "MARS", "--json"))[1])
    assert one == {**item, "otherAgentIds": []}


async def test_agents_of_a_range(command: Command) -> None:
    ranged = ("--from", at(5), "--to", "2026-02-20T12:01")
    found = json.loads((await command("agents", *ranged, "--json"))[1])
    assert (found["from"], found["to"]) == (at(5), "2026-02-20T12:01:00.000Z")
    (item,) = found["items"]
    assert (item["executions"], item["p95Duration"]) == (1, 500)
    one = json.loads((await command("agents", "MARS", *ranged, "--json"))[1])
    assert item.items() <= one.items()

    status, out, _ = await command("agents", *ranged)
    assert status == 0
    assert [row.split()[0] for row in out.splitlines()] == ["agent", "MARS", "(all)", "from"]
    text = (await command("agents", "MARS", *ranged))[1]
    assert "\np95         500 ms\n" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["MARS", "--to", "1h"], "--to needs --from"),
        (["--from", "1h", "--to", "2h"], "--from '1h': must be before --to"),
        (["--from", "367d"], "--from '367d': a range has at most 366 days"),
        (["--from", "1969-02-20", "--to", "1969-02-21"], "the years 1970 to 9000"),
        (["--from", "2026-W08-5"], "--from '2026-W08-5' is not a time; give ISO 8601"),
        (["--from", "yesterday"], "--from 'yesterday' is not a time; give ISO 8601"),
    ],
)
async def test_a_range_that_is_none(command: Command, words: list[str], says: str) -> None:
    status, out, err = await command("agents", *words)
    assert (status, out) == (2, "")
    assert says in err


#: Of MARS 30 executions of 10 ms, and a day later 30 of which 3 take longer; of VENUS too few.
SLOWER = [
    line("executions", f"s-{n}", agent=agent, duration=duration, timestamp=time, taskId="t-9")
    for n, (agent, duration, time) in enumerate(
        [
            *[("MARS", 10, "2026-02-21T12:00:00.000Z")] * 30,
            *[("MARS", 9, "2026-02-22T12:00:00.000Z")] * 27,
            *[("MARS", d, "2026-02-22T13:00:00.000Z") for d in (11, 200, 6100)],
            ("VENUS", 1, "2026-02-21T12:00:00.000Z"),
            ("VENUS", 5, "2026-02-22T12:00:00.000Z"),
        ]
    )
]
DAY = ("--from", "2026-02-22T06:00", "--to", "2026-02-23T06:00")


async def test_which_agents_got_slower(command: Command, apply_lines: ApplyLines) -> None:
    await apply_lines(SLOWER)
    status, out, err = await command("agents", "--slower", *DAY, "--unregistered")
    assert (status, err) == (0, "")
    head, mars, venus, times, few, more = out.splitlines()
    assert head.split()[:3] == ["agent", "p95", "before"]
    assert mars.split() == ["MARS", "10", "ms", "200", "ms", "+1900", "%", "30", "30"]
    assert venus.split() == ["VENUS", "1", "ms", "5", "ms", "+400", "%", "1", "1", "few"]
    assert times.startswith("now: from 2026-02-22T06:00:00.000Z to before 2026-02-23")
    assert few.startswith("few: fewer than 20 executions")
    assert more.startswith(
        "in which executions: nova-stream agents MARS --slower --from 2026-02-22"
    )
    found = json.loads((await command("agents", "--slower", *DAY, "--json"))[1])
    assert [(row["agentName"], row["change"]) for row in found["items"]] == [("MARS", 1900)]

    status, out, err = await command("agents", "--slower")
    assert (status, err) == (0, "")
    assert out.startswith("no agent has an execution with a duration in either range\n")


async def test_agents_that_did_not_get_slower_are_counted_alone(
    command: Command, apply_lines: ApplyLines
) -> None:
    await apply_lines(SLOWER)
    faster = ("--from", "2026-02-23T06:00", "--to", "2026-02-24T06:00", "--unregistered")
    status, out, err = await command("agents", "--slower", *faster)
    assert (status, err) == (0, "")
    none, _, *rest = out.splitlines()
    assert none == "no agent got slower"
    assert rest == ["not slower, or without executions to compare: 2 (--json has them)"]
    both = json.loads((await command("agents", "--slower", *faster, "--json"))[1])
    assert [row["change"] for row in both["items"]] == [None, None]

    status, out, _ = await command("agents", "--slower", *DAY, "--unregistered", "--limit", "1")
    assert [row.split()[0] for row in out.splitlines()[:2]] == ["agent", "MARS"]
    assert "there are more; --limit N shows up to N\n" in out


async def test_in_which_executions_an_agent_got_slower(
    command: Command, apply_lines: ApplyLines
) -> None:
    await apply_lines(SLOWER)
    status, out, err = await command("agents", "MARS", "--slower", *DAY)
    assert (status, err) == (0, "")
    _, *rows, said = out.splitlines()
    assert "3 of 30 executions took longer than the p95 before" in said
    assert [row.split()[0] for row in rows] == ["s-59", "s-58", "s-57"]
    cut = (await command("agents", "MARS", "--slower", *DAY, "--limit", "2"))[1]
    assert cut.endswith("these are the longest 2 of 3; --limit N shows up to N\n")
    found = json.loads((await command("agents", "MARS", "--slower", *DAY, "--json"))[1])
    assert (found["slower"], found["minDuration"], len(found["items"])) == (3, 11, 30)

    none = ("--from", "2026-02-20T06:00", "--to", "2026-02-21T06:00")
    assert "these are the longest" in (await command("agents", "MARS", "--slower", *none))[1]
    whole = ("--from", "2026-02-22", "--to", "2026-02-23")
    assert "percentiles are within 1 %" in (await command("agents", "MARS", "--slower", *whole))[1]
    assert "percentiles are within 1 %" in (await command("agents", "--slower", *whole))[1]
    nothing = ("--from", "2026-03-21", "--to", "2026-03-22")
    out = (await command("agents", "MARS", "--slower", *nothing))[1]
    assert out.startswith("MARS has no execution with a duration from 2026-03-21")
    status, _, err = await command("agents", "MASR", "--slower", *DAY)
    assert (status, "did you mean 'MARS'?" in err) == (1, True)


async def test_executions(command: Command, apply_lines: ApplyLines) -> None:
    await apply_lines(SLOWER)
    longest = ("--agent", "MARS", *DAY, "--order", "longest", "--min-duration")
    status, out, err = await command("executions", *longest, "100ms")
    assert (status, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["execution", "took", "at", "status", "agent", "task"]
    at_ = "2026-02-22T13:00:00.000Z"
    assert [row.split() for row in rows] == [
        ["s-59", "6.1", "s", at_, "succeeded", "MARS", "t-9"],
        ["s-58", "200", "ms", at_, "succeeded", "MARS", "t-9"],
    ]
    for least in ("6s", "6000", "6000ms"):
        found = json.loads((await command("executions", *longest, least, "--json"))[1])
        assert [row["id"] for row in found["items"]] == ["s-59"]
        assert not found["more"]
    out = (await command("executions", "--limit", "1"))[1]
    assert out.splitlines()[-1] == "there are more; --limit N shows up to N"
    failed = json.loads((await command("executions", "--status", "failed", "--json"))[1])
    assert [row["id"] for row in failed["items"]] == ["x-2"]
    assert (await command("executions", "--task", "t-0"))[1] == "no execution fits these options\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--order", "longest"], "--order longest needs --agent and --from"),
        (["--order", "longest", "--agent", "MARS"], "--order longest needs --agent and --from"),
        (["--min-duration", "1.5"], "--min-duration '1.5': give milliseconds as a whole number"),
        (["--min-duration", "-1"], "--min-duration '-1': give milliseconds"),
        (["--min-duration", "NaN"], "--min-duration 'NaN': give milliseconds"),
        (["--from", "1h", "--to", "2h"], "--from '1h': must be before --to"),
    ],
)
async def test_executions_that_cannot_be_listed(
    command: Command, words: list[str], says: str
) -> None:
    status, out, err = await command("executions", *words)
    assert (status, out) == (2, "")
    assert says in err


async def test_builds(command: Command) -> None:
    status, out, err = await command("builds")
    assert (status, err) == (0, "")
    assert [row.split()[0] for row in out.splitlines()] == ["id", "b-2", "b-1"]

    for words, ids in (
        (["--status", "failed"], ["b-1"]),
        (["--agent", "MARS"], ["b-1"]),
        (["--text", "upl"], ["b-2"]),
        (["--from", at(2)], ["b-2"]),
        (["--to", at(2)], ["b-1"]),
        (["--from", "2000d"], ["b-2", "b-1"]),
        (["--limit", "1"], ["b-2"]),
        (["--status", "completed"], []),
    ):
        found = json.loads((await command("builds", *words, "--json"))[1])["items"]
        assert [item["id"] for item in found] == ids, words
    assert "there are more" in (await command("builds", "--limit", "1"))[1]
    for limit, more in (("1", True), ("2", False)):
        found = json.loads((await command("builds", "--limit", limit, "--json"))[1])
        assert found["more"] is more
    assert (await command("builds", "--status", "completed"))[1] == "no builds\n"


@pytest.mark.parametrize("ranged", [(), ("--from", at(0), "--to", "2026-02-20T12:01")])
async def test_agents_that_are_left_out_are_told(
    command: Command, apply_lines: ApplyLines, ranged: tuple[str, ...]
) -> None:
    await apply_lines([line("agents", "a-2", name="VENUS")])
    for limit, more in (("1", True), ("2", False)):
        words = ("agents", *ranged, "--limit", limit)
        assert ("there are more" in (await command(*words))[1]) is more
        found = json.loads((await command(*words, "--json"))[1])
        assert (found["more"], len(found["items"])) == (more, int(limit))
        assert "nextCursor" not in found


async def test_a_build_says_why_it_failed(command: Command) -> None:
    status, out, _ = await command("builds", "b-1")
    assert status == 0
    assert "took        8.0 s" in out
    assert out[out.index("failed tasks") :].splitlines()[1:] == [
        "  t-2 (MARS): rate\\x1blimit",
        "  t-3 (MARS): no error is given; gate (nova-stream executions show x-2)",
    ]
    found = json.loads((await command("builds", "b-1", "--json"))[1])
    assert [task["id"] for task in found["build"]["tasks"]] == ["t-1", "t-2", "t-3"]
    by_name = await command("builds", "search", "1")
    assert by_name[:2] == (status, out)
    assert found["lastExecutions"]["t-3"]["id"] == "x-2"


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (
            ["agents", "VENUS"],
            1,
            "no registered agent is called 'VENUS'; nova-stream agents lists them",
        ),
        (
            ["agents", "mras", "--from", "1d"],
            1,
            "no registered agent is called 'mras'; did you mean 'MARS'?",
        ),
        (["builds", "b-9"], 1, "no build has 'b-9' as its id or in its name; nova-stream builds"),
        (["builds", "b"], 1, "several builds have 'b' in id or name; see: nova-stream builds --te"),
        (["builds", "b-1", "--status", "failed"], 2, "an ID or a name chooses one build"),
    ],
)
async def test_what_is_not_there(
    command: Command, words: list[str], status: int, says: str
) -> None:
    found, out, err = await command(*words)
    assert (found, out) == (status, "")
    assert err.startswith(f"error: {says}")


async def test_a_name_that_only_tasks_give_is_told_as_such(
    command: Command, apply_lines: ApplyLines
) -> None:
    await apply_lines([line("tasks", "t-9", agent="MARSS", status="done")])

    _, _, err = await command("agents", "MARSS")
    assert "'MARSS'; --unregistered shows what counts under it" in err
    _, _, err = await command("agents", "MARRSS", "--unregistered")
    assert err.endswith("did you mean 'MARSS'?\n")


async def test_status(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = await command("status", "--json")
    found = json.loads(out)
    assert status == 1  # no worker runs
    assert (found["stream"]["databaseState"], found["stream"]["kafkaState"]) == ("up", "up")
    assert (found["stream"]["workers"], found["alerts"]) == (0, [])
    assert [job["name"] for job in found["jobs"]][-1] == "healthCheck"
    text = (await command("status"))[1]
    assert re.search(r"^Workers +none; start one with `nova-stream worker`$", text, re.M)
    assert re.search(r"^Outlook +Nothing is applied: no worker runs\.$", text, re.M)
    assert "\nhealthCheck " in text

    monkeypatch.setenv("NOVA_DATABASE_URL", f"postgresql://u:pw@127.0.0.1:{free_port()}/nova")
    status, text, _ = await command("status")
    assert status == 1
    assert "\nPostgres  REFUSES CONNECTIONS: 127.0.0.1:" in text
    assert "pw" not in text
