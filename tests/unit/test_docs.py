"""The documents and the code say the same: settings, metrics, log lines, commands, links."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from prometheus_client import CollectorRegistry, Metric
from pydantic import SecretStr

from nova_stream.api.metrics import ApiMetrics
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.cli.main import app
from nova_stream.clock import system_clock
from nova_stream.events.documents import snake_case
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.registry import JOBS
from nova_stream.settings import Settings
from nova_stream.stream.metrics import Metrics
from nova_stream.testing import plugin

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    page for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/**/*.md"))
)
SETTINGS = {f"NOVA_{name.upper()}": field for name, field in Settings.model_fields.items()}
#: Variables that are no settings of the programs.
OTHERS = {
    "NOVA_CACHE_DIR",
    "NOVA_STACK_ENV",
    "NOVA_MAIN_APP",
    "NOVA_TEST_KAFKA_BROKERS",
    "NOVA_TEST_KAFKA_IMAGE",
    "NOVA_TEST_DATABASE_URL",
    "NOVA_TEST_POSTGRES_IMAGE",
}
#: The parts whose log lines an operator reads.
SPEAKING = ("api", "capture", "cli", "jobs", "stream")
#: What a metric's name ends with that counts nothing; those that count things name the things.
UNITS = ("_seconds", "_bytes", "_records", "_partitions")
COUNTED = {"nova_api_connections", "nova_api_streams", "nova_job_running"}
LOUD = {"warning", "error", "exception", "critical"}


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


#: Each test of a page names it.
each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


# -- settings --------------------------------------------------------------------------------------


def settings_rows() -> dict[str, list[str]]:
    """The rows of settings.md that describe one variable, as their other cells."""
    found = {}
    for line in read(DOCS / "settings.md").splitlines():
        match = re.match(r"\| `(NOVA_\w+)` \|(.*)\|$", line)
        if match and match[1] in SETTINGS:
            assert match[1] not in found, f"{match[1]} stands there twice"
            found[match[1]] = [cell.strip() for cell in match[2].split("|")]
    return found


def default_of(name: str) -> str:
    value: Any = SETTINGS[name].default
    if value is None or value == ():
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_every_setting_is_described_with_its_default() -> None:
    rows = settings_rows()
    assert set(rows) == set(SETTINGS)
    for name, (default, *_) in rows.items():
        assert default == default_of(name), name


def test_secrets_are_marked() -> None:
    for name, (_, meaning) in settings_rows().items():
        is_secret = "SecretStr" in str(SETTINGS[name].annotation)
        assert ("*secret*" in meaning) == is_secret, name


def test_schedules_are_the_jobs_own() -> None:
    rows = settings_rows()
    for job in JOBS:
        _, schedule = rows[f"NOVA_SCHEDULE_{snake_case(job.name).upper()}"]
        assert schedule == f"`{job.schedule}`", job.name


@each_page
def test_a_page_names_only_variables_that_exist(page: Path) -> None:
    # NOVA_TOPIC_<ENTITY> and NOVA_API_TOKEN(S) are ways to write several at once.
    for name in re.findall(r"\bNOVA_[A-Z_]+\b(?![<…*])", read(page)):
        known = name in SETTINGS or name in OTHERS
        assert known or any(n.startswith(name) for n in SETTINGS if name.endswith("_")), name


# -- metrics and log lines -------------------------------------------------------------------------


def metrics() -> Iterator[Metric]:
    worker, jobs = Metrics().registry, CollectorRegistry()
    JobMetrics(jobs)
    capture = CaptureMetrics(system_clock).registry
    for registry in (worker, jobs, ApiMetrics().registry, capture):
        yield from registry.collect()


def metric_names() -> Iterator[str]:
    for family in metrics():
        yield f"{family.name}_total" if family.type == "counter" else family.name


def test_every_metric_is_described_and_no_other() -> None:
    described = re.findall(r"^\| `(nova_\w+)`", read(DOCS / "operations.md"), re.MULTILINE)
    assert sorted(described) == sorted(metric_names())


def test_every_metric_has_a_help_and_its_unit_in_its_name() -> None:
    for family in metrics():
        assert re.fullmatch(r"[A-Z1].{10,}\.", family.documentation), family.name
        counted = family.type == "counter" or family.name in COUNTED
        is_state = family.documentation.startswith("1 ")
        assert counted or is_state or family.name.endswith(UNITS), family.name


def test_no_label_is_one_that_prometheus_gives() -> None:
    capture = CaptureMetrics(system_clock)
    for metric in (Metrics(), JobMetrics(CollectorRegistry()), ApiMetrics(), capture):
        for found in vars(metric).values():
            assert not {"job", "instance"} & set(getattr(found, "_labelnames", ()))


def loud_lines() -> Iterator[str]:
    """What the program may log as a warning or worse, up to the first part that varies."""
    code = ROOT / "nova_stream"
    in_parts = (path for part in SPEAKING for path in (code / part).rglob("*.py"))
    for path in sorted((*code.glob("*.py"), *in_parts)):
        for node in ast.walk(ast.parse(read(path))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LOUD
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "_log"
            ):
                yield from _fixed_part(node.args[0])


def _fixed_part(said: ast.expr) -> Iterator[str]:
    first = said.values[0] if isinstance(said, ast.JoinedStr) else said
    if isinstance(first, ast.Constant):
        yield str(first.value)


def problem_kinds() -> set[str]:
    """The kinds of problems that the API answers, where they are made."""
    found: set[str] = set()
    for path in (ROOT / "nova_stream").rglob("*.py"):
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ProblemError":
                kind = node.args[1]
                if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
                    found.add(kind.value)
    return found


def test_every_problem_is_in_the_table_of_errors() -> None:
    table = [line for line in read(DOCS / "http-api.md").splitlines() if line.startswith("| ")]
    limits = read(DOCS / "limits.md")
    kinds = problem_kinds()
    assert len(kinds) > 30
    missing = {k for k in kinds if f"`{k}`" not in "".join(table) and f"`{k}`" not in limits}
    assert missing == set()


def test_operations_explains_every_loud_line() -> None:
    operations = read(DOCS / "operations.md")
    explained = [line for line in operations.splitlines() if line.startswith("| `")]
    for said in sorted(set(loud_lines())):
        assert any(f"`{said}" in line for line in explained), (
            f"docs/operations.md does not say what to do about the line {said!r}"
        )


# -- commands --------------------------------------------------------------------------------------


class Called(NamedTuple):
    program: str
    words: tuple[str, ...]


def calls(text: str) -> Iterator[Called]:
    """What a page tells the reader to type: nova-stream and make, in blocks and in spans."""
    blocks = re.findall(r"^```(?:console|bash|sh|shell)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for line in (*lines, *re.findall(r"`([^`]+)`", prose)):
        found = re.search(r"(?:^|[\s/;(])(nova-stream|make)((?: +[^\s|;&)#]+)*)", line)
        if found and not line.startswith("pip "):
            try:
                words = shlex.split(found[2])
            except ValueError:
                words = found[2].split()
            yield Called(found[1], tuple(words))


def check_call(words: tuple[str, ...]) -> None:
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and hasattr(command, "commands") and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        assert rest[0] in command.commands, f"there is no nova-stream {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    if command.name == "bench":
        return  # its words are its own
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in rest:
        if word.startswith("--"):
            assert word.partition("=")[0].rstrip("]") in known, f"{command.name} has no {word}"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))


@each_page
def test_what_a_page_tells_to_type_exists(page: Path) -> None:
    for program, words in calls(read(page)):
        if program == "nova-stream":
            check_call(words)
        else:
            for word in words:
                if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-"):
                    assert word in make_targets(), f"there is no make {word}"


def test_calls_are_found_where_they_stand() -> None:
    text = (
        "Run `make test-fast` or:\n```console\n$ .venv/bin/nova-stream jobs list --json | jq\n```\n"
    )
    assert list(calls(text)) == [
        Called("nova-stream", ("jobs", "list", "--json")),
        Called("make", ("test-fast",)),
    ]
    with pytest.raises(AssertionError, match="no nova-stream jobs dance"):
        check_call(("jobs", "dance"))
    with pytest.raises(AssertionError, match="list has no --loud"):
        check_call(("jobs", "list", "--loud"))


# -- links -----------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in plain}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", read(page), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), target


# -- fixtures --------------------------------------------------------------------------------------


def test_testing_describes_every_fixture() -> None:
    described = set(re.findall(r"^\| `(nova_\w+)`", read(DOCS / "testing.md"), re.MULTILINE))
    assert described == {name for name in vars(plugin) if name.startswith("nova_")}


def test_examples_of_testing_are_python() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", read(DOCS / "testing.md"), re.M | re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/testing.md", "exec"), {})


CODE = sorted(
    file
    for folder in ("nova_stream", "tools", "tests", "benchmarks", "deploy")
    for file in (ROOT / folder).rglob("*")
    if file.suffix in {".py", ".js", ".css", ".sh"} and "vendor" not in file.parts
)


def test_comments_cite_pages_that_are_there() -> None:
    """A page by its path from the root, never a section that a reader does not have."""
    dangling = [
        (file.name, cited)
        for file in CODE
        for cited in re.findall(r"\b(?:docs/[\w/-]+\.md|[A-Z]{4,}\.md)\b", file.read_text())
        if not (ROOT / cited).is_file()
    ]
    numbered = [
        (file.name, cited[0])
        for file in CODE
        for cited in re.finditer(r"\b(?:design|contract)(?: section)? \d[.\d]*", file.read_text())
    ]
    assert dangling + numbered == []
