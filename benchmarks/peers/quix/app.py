# mypy: disable-error-code="no-any-unimported, misc"
"""Quix Streams: the newest version of each id in state, what changes regrouped by agent and summed
up in state, and PostgreSQL sinks that upsert by primary key. Exactly once inside of Kafka.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.sinks.community.postgresql import PostgreSQLSink

Figures = dict[str, int]

#: The columns that are not the document.
COLUMNS = {
    "agents": ("name",),
    "builds": ("status",),
    "tasks": ("agent", "status"),
    "executions": ("agent", "duration"),
}


def task_figures(row: Mapping[str, Any]) -> Figures:
    status = row["status"]
    return {"total": 1, "completed": int(status == "done"), "failed": int(status == "failed")}


def execution_figures(row: Mapping[str, Any]) -> Figures:
    return {"executions": 1, "duration_sum": row["duration"]}


def build_figures(row: Mapping[str, Any]) -> Figures:
    status = row["status"]
    return {
        "total": 1,
        "completed": int(status == "completed"),
        "failed": int(status == "failed"),
        "running": int(status == "running"),
    }


#: The table of the statistics, their key, and what a row counts for.
COUNTS: dict[str, tuple[str, Callable[[Any], str], Callable[[Mapping[str, Any]], Figures]]] = {
    "builds": ("quix_build_stats", lambda row: "all", build_figures),
    "tasks": ("quix_task_stats", lambda row: row["agent"], task_figures),
    "executions": ("quix_execution_stats", lambda row: row["agent"], execution_figures),
}

app = Application(
    broker_address=os.environ["NOVA_KAFKA_BROKERS"],
    consumer_group=os.environ["NOVA_CONSUMER_GROUP"],
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    # Sinks write when a checkpoint is made: every 5 s is the default.
    commit_interval=0.5,
    consumer_poll_timeout=0.1,
    # Until a killed program's partitions are given to the next (45 s is the default), and until
    # what it left open no longer holds up readers of what is committed (60 s).
    consumer_extra_config={"session.timeout.ms": 10_000},
    producer_extra_config={"transaction.timeout.ms": 10_000},
    state_dir=os.path.join(os.environ["NOVA_PEER_FOLDER"], "state"),  # noqa: PTH118
    loglevel="WARNING",
)


def sink(table: str) -> PostgreSQLSink:
    """Upserts into a table whose primary key is ``id``."""
    address = urlsplit(os.environ["NOVA_DATABASE_URL"])
    return PostgreSQLSink(
        host=address.hostname,
        port=address.port,
        dbname=address.path[1:],
        user=address.username,
        password=address.password,
        table_name=table,
        schema_auto_update=False,
        primary_key_columns="id",
        upsert_on_primary_key=True,
        include_metadata=False,
    )


def newest_of(name: str) -> Callable[[Any, State], Any]:
    """A change as its row with the row that it replaces; None for an old version."""

    def newest(change: Any, state: State) -> Any:
        document, seq = change["after"], change["source"]["seq"]
        before = state.get("row")
        if before is not None and before["seq"] >= seq:
            return None
        row = {"id": document["id"], "seq": seq}
        row |= {column: document[column] for column in COLUMNS[name]}
        state.set("row", row)
        return {"row": row, "before": before, "after": document}

    return newest


def moves_of(name: str) -> Callable[[Any], list[Any]]:
    """What a change takes from one key's figures and adds to another's."""
    _, key, figures = COUNTS[name]

    def moves(change: Any) -> list[Any]:
        found = [{"key": key(change["row"]), **figures(change["row"])}]
        if change["before"] is not None:
            taken = {figure: -count for figure, count in figures(change["before"]).items()}
            found.append({"key": key(change["before"]), **taken})
        return found

    return moves


def summed(move: Any, state: State) -> Any:
    """The sums of a key so far."""
    sums = state.get("sums", {})
    for figure, count in move.items():
        if figure != "key":
            sums[figure] = sums.get(figure, 0) + count
    state.set("sums", sums)
    return {"id": move["key"], **sums}


def consume(name: str) -> None:
    """A topic's rows and statistics."""
    topic = app.topic(
        f"{os.environ['NOVA_TOPIC_PREFIX']}.{name}",
        value_deserializer="json",
        key_deserializer="str",
    )
    changes: StreamingDataFrame = app.dataframe(topic)
    changes = changes.apply(newest_of(name), stateful=True).filter(lambda found: found is not None)
    changes.apply(lambda found: {**found["row"], "doc": found["after"]}).sink(sink(f"quix_{name}"))
    if name in COUNTS:
        moves = changes.apply(moves_of(name), expand=True)
        moves = moves.group_by(
            lambda move: move["key"],
            name=f"{name}-by-key",
            key_serializer="str",
            key_deserializer="str",
        )
        moves.apply(summed, stateful=True).sink(sink(COUNTS[name][0]))


for one in COLUMNS:
    consume(one)

if __name__ == "__main__":
    app.run()
