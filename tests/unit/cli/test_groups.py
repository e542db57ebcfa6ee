"""Groups of commands alone, and names that are misspelt."""

from __future__ import annotations

import pytest

from nova_stream.cli.main import run
from nova_stream.local.ports import free_port

from .test_main import error_of


@pytest.mark.parametrize("group", ["jobs", "alerts", "archive", "dead-letters", "tokens"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_group_alone_shows_its_list(
    group: str,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NOVA_DATABASE_URL", f"postgresql://127.0.0.1:{free_port()}/nova")

    told = [(run([group, *words, *options]), capsys.readouterr()) for words in ([], ["list"])]

    assert told[0] == told[1]
    assert told[0][0] == 1  # it has looked, and Postgres does not answer


@pytest.mark.parametrize("group", ["capture", "topics"])
def test_a_group_without_a_list_shows_its_help(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([group]) == 0
    alone = capsys.readouterr()
    assert run([group, "--help"]) == 0
    assert alone == capsys.readouterr()
    assert f"nova-stream {group}" in alone.out


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["jbos"], "jobs"),
        (["jobs", "lits"], "list"),
        (["jobs", "history", "helthcheck"], "healthCheck"),
        (["jobs", "run", "computeAgentStat"], "computeAgentStats"),
        (["topics", "new-source", "nova.agent"], "nova.agents"),
    ],
)
def test_a_misspelt_name_is_told_with_the_one_that_is_meant(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2

    assert f"did you mean '{meant}'?" in error_of(capsys).replace("Did", "did")


@pytest.mark.parametrize("group", ["executions", "dead-letters"])
def test_an_id_without_a_command_is_told_how_to_be_shown(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([group, "b-past-1-e008"]) == 2

    shows = f"To show one: nova-stream {group} show b-past-1-e008"
    assert shows in error_of(capsys)


def test_a_name_like_no_other_is_told_with_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "history", "x"]) == 2

    assert "there are: cleanupOldActivity, computeAgentStats" in error_of(capsys)
