"""Alerts and the dashboard in deploy/: they use every metric that exists, and no other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from nova_stream.api.metrics import ApiMetrics
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.settings import Settings
from nova_stream.stream.metrics import Metrics
from tests.unit.yaml_files import DEPLOY, ROOT, read_yaml


def metric_names(registry: CollectorRegistry) -> Iterator[str]:
    """The names that Prometheus sees, without those of a histogram's parts."""
    for family in registry.collect():
        yield f"{family.name}_total" if family.type == "counter" else family.name


def all_metrics() -> set[str]:
    worker = Metrics()
    JobMetrics(worker.registry)
    return {*metric_names(worker.registry), *metric_names(ApiMetrics().registry)}


METRICS = all_metrics()


def used_metrics(text: str) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\bnova_\w+", text)}


def test_alerts_use_metrics_that_exist_and_say_what_to_do() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", operations, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    for group in read_yaml(DEPLOY / "alerts.yml")["groups"]:
        for rule in group["rules"]:
            assert used_metrics(rule["expr"]) <= METRICS, rule["alert"]
            page, _, anchor = rule["annotations"]["runbook"].partition("#")
            assert page == "docs/operations.md"
            assert anchor in anchors
            assert rule["labels"]["severity"] in {"page", "ticket"}


def test_the_alert_on_the_buffer_fits_its_default() -> None:
    text = (DEPLOY / "alerts.yml").read_text(encoding="utf-8")
    match = re.search(r"nova_buffered_bytes\[5m\]\) > ([\d.e]+)", text)
    assert match is not None
    limit = Settings.model_fields["buffer_bytes"].default
    assert 0.8 * limit < float(match[1]) < limit


def promtool(*words: str) -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("no promtool here")
    run = subprocess.run(
        [tool, *words], cwd=DEPLOY, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_alerts_fire_when_they_should() -> None:
    promtool("test", "rules", "alerts.test.yml")


def test_prometheus_can_read_its_files() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")


def test_every_alert_is_tried() -> None:
    rules = {r["alert"] for g in read_yaml(DEPLOY / "alerts.yml")["groups"] for r in g["rules"]}
    tried: set[str] = set()
    for case in read_yaml(DEPLOY / "alerts.test.yml")["tests"]:
        tried |= {rule["alertname"] for rule in case["alert_rule_test"] if "exp_alerts" in rule}
    assert tried == rules


def test_what_the_dashboard_asks_can_be_read(tmp_path: Path) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "nova-stream.json").read_text(encoding="utf-8"))
    asked = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    rules = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(asked)
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_the_dashboard_shows_every_metric() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "nova-stream.json").read_text(encoding="utf-8"))
    (source,) = read_yaml(DEPLOY / "grafana" / "datasources.yml")["datasources"]
    shown: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == source["uid"]
            shown |= used_metrics(target["expr"])
    assert shown == METRICS
