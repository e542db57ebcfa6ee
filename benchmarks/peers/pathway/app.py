# mypy: disable-error-code="no-any-unimported, misc, attr-defined, unused-ignore"
"""Pathway: the newest version of each id by ``deduplicate``, statistics by ``groupby``, snapshots
in Postgres, and persistence on disk, so that it goes on after a failure.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import pathway as pw

ADDRESS = urlsplit(os.environ["NOVA_DATABASE_URL"])
POSTGRES = {
    "host": ADDRESS.hostname,
    "port": ADDRESS.port,
    "dbname": ADDRESS.path[1:],
    "user": ADDRESS.username,
    "password": ADDRESS.password,
}
KAFKA = {
    "bootstrap.servers": os.environ["NOVA_KAFKA_BROKERS"],
    "group.id": os.environ["NOVA_CONSUMER_GROUP"],
    "auto.offset.reset": "earliest",
    # Where it stands is in its own persistence. With librdkafka's default, a group's offsets run
    # ahead of that, and what lies between is lost after a kill.
    "enable.auto.commit": "false",
    # Until a killed program's partitions are given to the next: 45 s is the default.
    "session.timeout.ms": "10000",
}
#: Milliseconds between two minibatches, and between two snapshots of the state.
COMMIT = 100


def newest(name: str, columns: dict[str, type]) -> Any:
    """The newest version of each document of a topic, also written to Postgres."""
    types = {"document_id": str, "seq": int, "doc": pw.Json, **columns}
    changes = pw.io.kafka.read(
        KAFKA,
        topic=f"{os.environ['NOVA_TOPIC_PREFIX']}.{name}",
        format="json",
        schema=pw.schema_from_types(**types),
        json_field_paths={
            "seq": "/source/seq",
            "doc": "/after",
            "document_id": "/after/id",  # id is a word of Pathway's own
            **{column: f"/after/{column}" for column in columns},
        },
        autocommit_duration_ms=COMMIT,
        name=name,
    )
    found = changes.deduplicate(
        value=pw.this.seq,
        instance=pw.this.document_id,
        acceptor=lambda new, old: new > old,
        name=f"{name}-newest",
    )
    write(found, f"pathway_{name}", "document_id")
    return found


def write(table: Any, name: str, key: str) -> None:
    """Keeps a table in Postgres as it stands."""
    pw.io.postgres.write(
        table,
        POSTGRES,
        name,
        output_table_type="snapshot",
        primary_key=[table[key]],
        name=name,
    )


def counted(condition: Any) -> Any:
    """How many rows of a group are so."""
    return pw.reducers.sum(pw.if_else(condition, 1, 0))


newest("agents", {"name": str})
builds = newest("builds", {"status": str})
tasks = newest("tasks", {"agent": str, "status": str})
executions = newest("executions", {"agent": str, "duration": int})

write(
    tasks.groupby(pw.this.agent).reduce(
        agent=pw.this.agent,
        total=pw.reducers.count(),
        completed=counted(pw.this.status == "done"),
        failed=counted(pw.this.status == "failed"),
    ),
    "pathway_task_stats",
    "agent",
)
write(
    executions.groupby(pw.this.agent).reduce(
        agent=pw.this.agent,
        executions=pw.reducers.count(),
        duration_sum=pw.reducers.sum(pw.this.duration),
    ),
    "pathway_execution_stats",
    "agent",
)
write(
    builds.with_columns(one=1)
    .groupby(pw.this.one)
    .reduce(
        one=pw.this.one,
        total=pw.reducers.count(),
        completed=counted(pw.this.status == "completed"),
        failed=counted(pw.this.status == "failed"),
        running=counted(pw.this.status == "running"),
    ),
    "pathway_build_stats",
    "one",
)

if __name__ == "__main__":
    state = pw.persistence.Backend.filesystem(os.path.join(os.environ["NOVA_PEER_FOLDER"], "state"))  # noqa: PTH118
    pw.run(
        monitoring_level=pw.MonitoringLevel.NONE,
        persistence_config=pw.persistence.Config(state, snapshot_interval_ms=COMMIT),
    )
