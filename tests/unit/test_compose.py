"""docker-compose.yml and Dockerfile: what they name exists, and nothing is left open."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from nova_stream.api.auth.tokens import Tokens
from nova_stream.cli.main import app
from nova_stream.local.jars import read_lock
from nova_stream.local.kafka_config import MESSAGE_MAX_BYTES
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.access.grants import Role
from nova_stream.testing import containers
from tests.unit.yaml_files import DEPLOY, ROOT, read_yaml
from tools import kafka_jars

OURS = ("migrate", "worker", "api")
#: What docker compose fills in: ${NAME:-default} and ${NAME:?why it is needed}.
FILLED_IN = re.compile(r"\$\{(?P<name>\w+):(?P<kind>[-?])(?P<rest>[^}]*)\}")


COMPOSE = read_yaml(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def filled_in(text: str, **given: str) -> str:
    """``text`` as docker compose reads it; KeyError for what is needed and not given."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match["name"], match["kind"], match["rest"]
        return given[name] if kind == "?" else given.get(name) or rest

    return FILLED_IN.sub(value, text)


SECRETS = {
    name: f"of-{name}"
    for name in (
        "POSTGRES_PASSWORD",
        "NOVA_ROLE_PASSWORD_MIGRATE",
        "NOVA_ROLE_PASSWORD_WORKER",
        "NOVA_ROLE_PASSWORD_API",
        "NOVA_ROLE_PASSWORD_BI",
        "NOVA_API_TOKEN",
        "PROMETHEUS_TOKEN",
        "GRAFANA_PASSWORD",
    )
}


def environment(service: str) -> dict[str, str]:
    found = SERVICES[service].get("environment", {})
    return {name: filled_in(value, **SECRETS) for name, value in found.items()}


#: Who logs in at Postgres as whom: the superuser makes the roles, and runs nothing.
LOGINS = {
    "migrate": ("nova", "POSTGRES_PASSWORD"),
    "worker": ("nova_worker", "NOVA_ROLE_PASSWORD_WORKER"),
    "api": ("nova_api", "NOVA_ROLE_PASSWORD_API"),
}


# -- the services ----------------------------------------------------------------------------------


def test_all_parts_are_there() -> None:
    assert set(SERVICES) == {
        "kafka",
        "postgres",
        "migrate",
        "worker",
        "api",
        "prometheus",
        "grafana",
    }


@pytest.mark.parametrize("service", OURS)
def test_our_services_run_commands_and_settings_that_exist(
    service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = environment(service)
    known = {f"NOVA_{name.upper()}" for name in Settings.model_fields}
    assert set(given) <= known
    for name in known:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.kafka_brokers == ("kafka:19092",)
    user, password = LOGINS[service]
    assert settings.database_url.get_secret_value() == (
        f"postgresql://{user}:{SECRETS[password]}@postgres:5432/nova"
    )

    group = typer.main.get_command(app)
    command = SERVICES[service]["command"]
    assert command[0] in group.commands  # type: ignore[attr-defined]


def test_images_are_pinned_and_those_of_the_fixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES.values():
        tag = service["image"].partition(":")[2]
        assert re.fullmatch(r"v?\d+(\.\d+)*", tag), service["image"]
    monkeypatch.delenv("NOVA_TEST_KAFKA_IMAGE", raising=False)
    monkeypatch.delenv("NOVA_TEST_POSTGRES_IMAGE", raising=False)
    assert SERVICES["kafka"]["image"] == containers.kafka_image()
    assert SERVICES["postgres"]["image"] == containers.postgres_image()


def test_kafka_is_of_one_version_everywhere() -> None:
    image = SERVICES["kafka"]["image"].partition(":")[2]
    brokers = {jar.version for jar in read_lock() if jar.group == "org.apache.kafka"}
    assert brokers == {image}
    assert kafka_jars.KAFKA.endswith(f":{image}")
    assert f"`apache/kafka:{image}`" in (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def test_there_may_be_several_workers() -> None:
    # A second container could have neither the port of the first nor its name.
    assert not {"ports", "container_name"} & set(SERVICES["worker"])
    for service in SERVICES.values():
        assert "network_mode" not in service


def test_a_read_only_container_gets_no_secret_that_compose_would_write() -> None:
    for name, service in SERVICES.items():
        if service.get("read_only"):
            written = {*service.get("secrets", []), *service.get("configs", [])}
            given = {**COMPOSE.get("secrets", {}), **COMPOSE.get("configs", {})}
            assert all("file" in given[each] for each in written), name


def test_our_image_has_our_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    expected = f"nova-stream:{version['project']['version']}"
    assert {SERVICES[service]["image"] for service in OURS} == {expected}


def test_what_goes_on_has_a_health_check_and_starts_again() -> None:
    for name, service in SERVICES.items():
        if name == "migrate":
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped"
            assert service["healthcheck"]["test"][0] == "CMD"


def test_health_is_asked_for_where_it_is_told() -> None:
    port = environment("worker")["NOVA_METRICS_PORT"]
    assert f"127.0.0.1:{port}/metrics" in SERVICES["worker"]["healthcheck"]["test"][-1]
    api = SERVICES["api"]
    assert api["command"][api["command"].index("--port") + 1] == "8600"
    assert "127.0.0.1:8600/health/live" in api["healthcheck"]["test"][-1]


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 5
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", filled_in(port)), port


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "TOKEN" in name:
                assert FILLED_IN.search(value), name
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for match in FILLED_IN.finditer(text):
        assert (match["kind"] == "?") == (match["name"] in SECRETS), "a secret has no default"
    told = text.partition("name: nova-stream")[0]
    assert all(name in told for name in SECRETS), "how to set them"


def test_each_program_has_its_own_secrets_only() -> None:
    allowed = {
        "migrate": {"POSTGRES_PASSWORD", *(n for n in SECRETS if n.startswith("NOVA_ROLE"))},
        "worker": {"NOVA_ROLE_PASSWORD_WORKER", "PROMETHEUS_TOKEN"},
        "prometheus": {"PROMETHEUS_TOKEN"},
        "api": {"NOVA_ROLE_PASSWORD_API", "NOVA_API_TOKEN", "PROMETHEUS_TOKEN"},
        "postgres": {"POSTGRES_PASSWORD"},
        "grafana": {"GRAFANA_PASSWORD"},
    }
    for name, service in SERVICES.items():
        text = " ".join(service.get("environment", {}).values())
        used = {match["name"] for match in FILLED_IN.finditer(text)} & set(SECRETS)
        assert used == allowed.get(name, set()), name


def test_the_roles_of_compose_are_made_before_they_log_in() -> None:
    assert SERVICES["migrate"]["command"] == ["migrate", "--roles"]
    given = environment("migrate")
    for role in Role:
        variable = f"NOVA_ROLE_PASSWORD_{role.name}"
        assert given[variable] == SECRETS[variable]


def test_nothing_in_a_container_can_become_more_than_it_is() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert service["logging"]["options"]["max-size"], name
        assert ("cap_add" in service) == (name == "postgres"), name
    assert SERVICES["prometheus"]["read_only"] is True
    for name in OURS:
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["tmpfs"][0].startswith("/tmp:")


def test_the_api_listens_to_others_with_a_token_only() -> None:
    assert "0.0.0.0" in SERVICES["api"]["command"]
    given = environment("api")
    tokens = Tokens(
        load_settings(api_token=given["NOVA_API_TOKEN"], api_tokens=given["NOVA_API_TOKENS"])
    )
    assert not tokens.open
    asking = tokens.identify(SECRETS["PROMETHEUS_TOKEN"])
    assert asking is not None
    assert asking.scopes == {"metrics"}


def test_kafka_is_set_up_as_the_local_one() -> None:
    given = environment("kafka")
    assert given["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert given["KAFKA_MESSAGE_MAX_BYTES"] == str(MESSAGE_MAX_BYTES)
    assert given["KAFKA_REPLICA_FETCH_MAX_BYTES"] == str(MESSAGE_MAX_BYTES)


def test_data_lies_in_named_volumes_and_files_are_there() -> None:
    used = set()
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            if source.startswith("."):
                assert (ROOT / source).is_file(), source
                assert rest.endswith(":ro")
            else:
                used.add(source)
    assert used == set(COMPOSE["volumes"])
    archive = environment("worker")["NOVA_ARCHIVE_URL"].removeprefix("file://")
    assert f"archive:{archive}" in SERVICES["worker"]["volumes"]
    assert f"archive:{archive}" in SERVICES["api"]["volumes"]
    assert archive in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    # PostgreSQL 18 keeps its data elsewhere than its elders: there it would not be in the volume.
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]


def test_worker_and_api_wait_for_the_schema() -> None:
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("worker", "api"):
        waits = SERVICES[name]["depends_on"]["migrate"]["condition"]
        assert waits == "service_completed_successfully"


# -- docker itself ---------------------------------------------------------------------------------


def compose_config(extra: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NOVA_")}
    command = ["docker", "compose", "--file", str(ROOT / "docker-compose.yml")]
    return subprocess.run(
        [*command, "--project-directory", str(folder), "config", "--quiet"],
        env={**kept, **extra},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False, timeout=60
    )
    return asked.returncode == 0


def test_docker_compose_reads_it(tmp_path: Path) -> None:
    if not has_compose():
        pytest.skip("no docker compose here")
    read = compose_config(SECRETS, tmp_path)
    assert read.returncode == 0, read.stderr
    refused = compose_config({**SECRETS, "NOVA_API_TOKEN": ""}, tmp_path)
    assert refused.returncode != 0
    assert "NOVA_API_TOKEN" in refused.stderr


# -- the image -------------------------------------------------------------------------------------


def dockerfile() -> list[list[str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_is_made_of_what_is_pinned_and_is_not_root() -> None:
    lines = dockerfile()
    assert ["ARG", "PYTHON_IMAGE=python:3.13-slim"] in lines
    assert {line[1] for line in lines if line[0] == "FROM"} == {"${PYTHON_IMAGE}"}
    (user,) = (line[1] for line in lines if line[0] == "USER")
    assert user not in {"root", "0"}
    installs = [" ".join(line) for line in lines if {"pip", "/app/bin/pip"} & set(line)]
    locked, own, offline = installs
    for pinned in ("requirements.lock", "requirements-build.lock"):
        assert f"--only-binary :all: --require-hashes --requirement {pinned}" in locked
    assert "--no-deps" in own
    assert "--no-build-isolation" in own  # else pip fetches whatever builds it today
    assert "--no-index" in offline


def test_make_installs_only_what_is_pinned() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("pip sync", "pip install")
    installs = [line.split() for line in text.splitlines() if "pip install" in line]
    assert len(installs) == 4
    for words in installs:
        if "--editable" in words:
            assert {"--no-deps", "--no-build-isolation"} <= set(words)
        else:
            assert "--require-hashes" in words
            assert "--no-build" in words or words[words.index("--only-binary") + 1] == ":all:"
    pinned = (ROOT / "requirements-build.lock").read_text(encoding="utf-8")
    for name in ("uv", "hatchling", "editables"):
        assert re.search(rf"^{name}==", pinned, re.MULTILINE)


def test_the_image_gets_what_it_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for line in dockerfile():
        if line[0] == "COPY" and not line[1].startswith("--from"):
            for name in line[1:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in ignored
    assert "*" in ignored


# -- Prometheus and Grafana ------------------------------------------------------------------------


def test_prometheus_asks_worker_and_api() -> None:
    jobs = {job["job_name"]: job for job in read_yaml(DEPLOY / "prometheus.yml")["scrape_configs"]}
    (found,) = jobs["nova-worker"]["dns_sd_configs"]
    worker = environment("worker")
    assert (found["names"], found["type"]) == (["worker"], "A")
    assert str(found["port"]) == worker["NOVA_METRICS_PORT"]
    assert worker["NOVA_METRICS_HOST"] == "0.0.0.0"
    assert worker["NOVA_METRICS_TOKEN"] == SECRETS["PROMETHEUS_TOKEN"]
    assert jobs["nova-api"]["static_configs"][0]["targets"] == ["api:8600"]
    (tmpfs,) = SERVICES["prometheus"]["tmpfs"]
    # Where a container starts again the mode that is asked for may not hold; the owner does.
    assert "uid=65534" in tmpfs
    for job in jobs.values():
        token = job["authorization"]["credentials_file"]
        assert Path(token).parent == Path(tmpfs.partition(":")[0])
        assert any(f">{token} &&" in word for word in SERVICES["prometheus"]["entrypoint"])


def test_grafana_asks_prometheus_where_it_is() -> None:
    (source,) = read_yaml(DEPLOY / "grafana" / "datasources.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "network_mode" not in SERVICES["prometheus"]
