"""deploy/kubernetes: what it names exists, what belongs together fits, and nothing is left open."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from nova_stream.api.app import ROUTES
from nova_stream.api.auth.tokens import Tokens
from nova_stream.cli.main import app
from nova_stream.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
#: The program's own secret; all but migrate have that of the metrics, too.
SECRETS = {
    "migrate": {"nova-stream-migrate"},
    "worker": {"nova-stream-worker", "nova-stream-metrics"},
    "api": {"nova-stream-api", "nova-stream-metrics"},
}
TOKEN = "kR7vQ2mZ9xW4tB6n"


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


KUSTOMIZATIONS = {path.parent: documents(path)[0] for path in FOLDER.rglob("kustomization.yaml")}
RESOURCES = [
    document
    for path in sorted(FOLDER.rglob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in documents(path)
]
COMMON = dict(
    line.split("=", 1)
    for line in KUSTOMIZATIONS[FOLDER / "base"]["configMapGenerator"][0]["literals"]
)


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [resource for resource in RESOURCES if resource["kind"] in kinds]


def resource(kind: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in of_kind(kind) if each["metadata"]["name"] == name)
    return found


PROGRAMS = {
    each["metadata"]["labels"][COMPONENT]: each["spec"]["template"]
    for each in of_kind("Deployment", "Job")
}


def container(program: str) -> dict[str, Any]:
    (found,) = PROGRAMS[program]["spec"]["containers"]
    return dict(found)


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key in a document with its value, at any depth."""
    if isinstance(value, dict):
        yield from value.items()
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from pairs(each)


def test_every_file_is_part_of_the_whole() -> None:
    for folder, kustomization in KUSTOMIZATIONS.items():
        for name in kustomization.get("resources", []) + kustomization.get("components", []):
            assert (folder / name).exists(), name
        files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert files <= set(kustomization["resources"])
    names = [(each["kind"], each["metadata"]["name"]) for each in RESOURCES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("program", SECRETS)
def test_our_programs_run_commands_and_settings_that_exist(program: str) -> None:
    found = container(program)
    assert found["args"][0] in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    own = {each["name"] for each in found.get("env", ())} - {"METRICS_TOKEN"}
    assert own | set(COMMON) <= {f"NOVA_{name.upper()}" for name in Settings.model_fields}
    given = {name.removeprefix("NOVA_").lower(): value for name, value in COMMON.items()}
    assert load_settings(**given).kafka_brokers == ("kafka-bootstrap.kafka:9092",)
    assert set(PROGRAMS) == set(SECRETS)


def test_prometheus_reads_the_api_with_a_token_for_metrics_alone() -> None:
    (text,) = (each["value"] for each in container("api")["env"] if "value" in each)
    tokens = Tokens(load_settings(api_tokens=text.replace("$(METRICS_TOKEN)", TOKEN)))
    asking = tokens.identify(TOKEN)
    assert asking is not None
    assert asking.scopes == {"metrics"}


@pytest.mark.parametrize("program", SECRETS)
def test_each_program_has_its_own_secrets_only(program: str) -> None:
    spec = PROGRAMS[program]["spec"]
    used = {value["name"] for key, value in pairs(spec) if key in {"secretRef", "secretKeyRef"}}
    assert used == SECRETS[program]
    assert not of_kind("Secret")
    assert not [key for key in COMMON if re.search("PASSWORD|TOKEN|SECRET|DATABASE_URL", key)]


@pytest.mark.parametrize("program", SECRETS)
def test_nothing_in_a_pod_can_become_more_than_it_is(program: str) -> None:
    pod, only = PROGRAMS[program]["spec"], container(program)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {pod['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    assert only["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["resources"]["limits"]["memory"]
    assert only["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert [set(volume) for volume in pod["volumes"]] == [{"name", "emptyDir"}]
    assert pod["serviceAccountName"] == of_kind("ServiceAccount")[0]["metadata"]["name"]
    assert not of_kind("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


def test_selectors_find_the_pods_of_one_program() -> None:
    assert all(pod["metadata"]["labels"][NAME] == "nova-stream" for pod in PROGRAMS.values())
    for each in of_kind("Deployment", "PodDisruptionBudget", "Service", "NetworkPolicy"):
        spec, name = each["spec"], each["metadata"]["name"]
        selector = spec.get("selector") or spec["podSelector"]
        selector = selector.get("matchLabels", selector)
        found = [
            program
            for program, pod in PROGRAMS.items()
            if selector.items() <= pod["metadata"]["labels"].items()
        ]
        assert found == ([name.rpartition("-")[2]] if name != "nova-stream" else list(PROGRAMS))
    for each in of_kind("ServiceMonitor"):
        service = resource("Service", each["metadata"]["name"])
        labels = each["spec"]["selector"]["matchLabels"]
        # The base's kustomization adds the name to each of its own.
        assert labels.items() <= {NAME: "nova-stream", **service["metadata"]["labels"]}.items()


def test_ports_are_those_that_the_programs_listen_on() -> None:
    worker, api = container("worker"), container("api")
    assert api["args"][-1] == str(api["ports"][0]["containerPort"])
    given = {each["name"]: each.get("value") for each in worker["env"]}
    assert given["NOVA_METRICS_PORT"] == str(worker["ports"][0]["containerPort"])
    assert f":{given['NOVA_METRICS_PORT']}/metrics" in str(worker["livenessProbe"])
    names = {port["name"] for program in (worker, api) for port in program["ports"]}
    for each in of_kind("Service", "NetworkPolicy", "ServiceMonitor"):
        for key, value in pairs(each["spec"]):
            assert key != "targetPort" or value in names
            assert key != "port" or isinstance(value, int) or value in names


def test_probes_ask_for_what_is_there() -> None:
    paths = {route.path for module in ROUTES for route in module.router.routes}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container("api")[probe]["httpGet"]["path"] in paths
    # Both would start everything anew while Postgres is away.
    assert "readinessProbe" not in container("worker")
    assert container("api")["livenessProbe"]["httpGet"]["path"] == "/health/live"


def test_workers_are_as_many_as_there_are_partitions_at_most() -> None:
    spec = resource("ScaledObject", "nova-stream-worker")["spec"]
    assert spec["maxReplicaCount"] == int(COMMON["NOVA_PARTITIONS"])
    assert "replicas" not in resource("Deployment", spec["scaleTargetRef"]["name"])["spec"]
    (trigger,) = spec["triggers"]
    assert trigger["metadata"]["bootstrapServersFromEnv"] in COMMON
    assert trigger["metadata"]["consumerGroup"] == COMMON["NOVA_CONSUMER_GROUP"]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_scraped_jobs_are_those_of_the_alerts() -> None:
    alerts = (ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8")
    for each in of_kind("ServiceMonitor"):
        ((endpoint,),) = (each["spec"]["endpoints"],)
        (relabeling,) = endpoint["relabelings"]
        assert f'job="{relabeling["replacement"]}"' in alerts
        assert endpoint["authorization"]["credentials"]["name"] == "nova-stream-metrics"


def test_the_image_and_the_migration_have_our_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (image,) = KUSTOMIZATIONS[FOLDER / "base"]["images"]
    assert image == {"name": "nova-stream", "newTag": project["version"]}
    assert {container(program)["image"] for program in PROGRAMS} == {"nova-stream"}
    (job,) = of_kind("Job")
    assert job["metadata"]["name"].endswith("-" + project["version"].replace(".", "-"))
    # Its ConfigMap's name changes with what is in it, and a job cannot change.
    assert "configMapRef" not in dict(pairs(job))


#: Kinds of operators, whose schemas come with these and are in no package: what belongs together in
#: them is held above, their fields by nobody.
WITHOUT_SCHEMA = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}
#: Minor versions that are maintained upstream: the three newest ones of the package.
VERSIONS = list(dict.fromkeys(kubernetes_validate.utils.all_versions()))[-3:]
VALIDATED = [each for each in RESOURCES if each["apiVersion"] not in WITHOUT_SCHEMA]


def check_fields(resource: dict[str, Any], version: str) -> None:
    """Raise ValidationError for what Kubernetes would refuse, fields that it does not know too."""
    kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "resource", VALIDATED, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_kubernetes_knows_every_field(resource: dict[str, Any], version: str) -> None:
    check_fields(resource, version)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "container"), []),
        ("Deployment", ("spec", "replicas"), "two"),
        ("Job", ("spec", "backOffLimit"), 3),
        ("NetworkPolicy", ("spec", "policyType"), ["Ingress"]),
        ("PodDisruptionBudget", ("spec", "maxUnavailable"), [1]),
    ],
)
def test_a_wrong_field_is_found(kind: str, path: tuple[str, ...], value: Any) -> None:
    broken = copy.deepcopy(of_kind(kind)[0])
    place = broken
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        check_fields(broken, VERSIONS[-1])


def test_what_has_no_schema_is_what_operators_bring() -> None:
    kinds = {each["kind"] for each in RESOURCES if each["apiVersion"] in WITHOUT_SCHEMA}
    assert kinds == {"ScaledObject", "ServiceMonitor"}
    assert len(VALIDATED) == len(RESOURCES) - len(of_kind(*kinds))
