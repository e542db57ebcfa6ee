"""Each way in which a connector can be set to write: nova-stream's rows are the source's.

Every case starts a connector with its settings, lets it take a snapshot and changes, and compares.
What a setting makes ambiguous must be told (a dead letter), never read as something else.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_stream.local.ports import HOST
from tests.sources.connect import Connect
from tests.sources.pipeline import Pipeline, open_pipeline
from tests.sources.postgres_source import SourceServer, make_signals
from tests.sources.registry import Registry
from tests.sources.traffic import traffic

pytestmark = pytest.mark.sources

long = pytest.mark.sources_long

#: Every case brings changes of its own into the source that all share.
_seeds = itertools.count(100)


def _modes(time: str, number: str, interval: str) -> dict[str, str]:
    return {
        "time__precision__mode": time,
        "decimal__handling__mode": number,
        "interval__handling__mode": interval,
    }


_SCHEMAS = {"key__converter__schemas__enable": "true", "value__converter__schemas__enable": "true"}
_FLAT = {
    "transforms": "unwrap,route",
    "transforms__unwrap__type": "io.debezium.transforms.ExtractNewRecordState",
}

#: Decimals in base64 are text like any other where text is wanted.
_BASE64 = r"^(executions|activities) \S+[.]task_id: '[A-Za-z0-9+/=]+', source has '\d+'"
#: Microseconds are a number like milliseconds.
_MICROSECONDS = r"^executions \S+[.]duration: "

#: By time mode. With schemas in the records every mode can be read; each time, number and interval
#: mode is there, in as few connectors as there are time modes.
WITH_SCHEMAS = {
    "adaptive": _modes("adaptive", "precise", "numeric"),
    "adaptive_time_microseconds": _modes("adaptive_time_microseconds", "double", "string"),
    "connect": _modes("connect", "string", "numeric"),
    "isostring": _modes("isostring", "precise", "string"),
    "microseconds": _modes("microseconds", "double", "numeric"),
    "nanoseconds": _modes("nanoseconds", "precise", "numeric"),
}
#: By time mode as well, with what cannot be told from a value alone, as lines of ``compare``.
WITHOUT_SCHEMAS = {
    "adaptive": (_modes("adaptive", "string", "string"), ()),
    "adaptive_time_microseconds": (_modes("adaptive_time_microseconds", "double", "string"), ()),
    "connect": (_modes("connect", "precise", "string"), (_BASE64,)),
    "microseconds": (_modes("microseconds", "string", "numeric"), (_MICROSECONDS,)),
    "nanoseconds": (_modes("nanoseconds", "precise", "numeric"), (_BASE64, _MICROSECONDS)),
}
FLATTENED = {
    "tombstones": {"transforms__unwrap__delete__tombstone__handling__mode": "tombstone"},
    "rewritten": {
        "transforms__unwrap__delete__tombstone__handling__mode": "rewrite",
        "transforms__unwrap__add__fields": "op,source.lsn,source.ts_ms",
    },
    "rewritten with tombstones": {
        "transforms__unwrap__delete__tombstone__handling__mode": "rewrite-with-tombstone",
        "transforms__unwrap__add__fields": "op,lsn,ts_ms",
        **_SCHEMAS,
        **_modes("adaptive", "precise", "numeric"),
    },
}


def _some(cases: Iterable[str], usual: str) -> list[Any]:
    """All cases, of which only ``usual`` is among the tests of every run."""
    return [case if case == usual else pytest.param(case, marks=long) for case in cases]


@pytest.fixture(scope="module")
def source(source_server: SourceServer) -> Iterator[str]:
    with source_server.database("settings") as found:
        make_signals(found)
        asyncio.run(traffic(found, next(_seeds), rows=12, changes=0))
        yield found


@pytest.fixture
def pipeline(
    source: str, kafka_connect: Connect, nova_kafka: str, nova_postgres: str, tmp_path: Path
) -> Iterator[Pipeline]:
    with open_pipeline(source, kafka_connect, nova_kafka, nova_postgres, tmp_path) as found:
        yield found


@pytest.mark.parametrize("case", _some(WITH_SCHEMAS, "adaptive"))
async def test_json_with_schemas_is_read_in_every_mode(case: str, pipeline: Pipeline) -> None:
    pipeline.start_connector(**_SCHEMAS, **WITH_SCHEMAS[case])
    await traffic(pipeline.source, next(_seeds), rows=3, changes=40)
    await pipeline.run("TRUNCATE executions")
    await traffic(pipeline.source, next(_seeds), rows=3, changes=10)
    pipeline.start_worker()

    await pipeline.agree()


@long
@pytest.mark.parametrize("case", WITHOUT_SCHEMAS)
async def test_json_without_schemas_is_right_or_told(case: str, pipeline: Pipeline) -> None:
    changed, untold = WITHOUT_SCHEMAS[case]
    pipeline.start_connector(**changed)
    await traffic(pipeline.source, next(_seeds), rows=3, changes=40)
    pipeline.start_worker()

    await pipeline.agree_or_tell(*untold)


@long
async def test_json_without_schemas_is_right_in_the_recommended_modes(pipeline: Pipeline) -> None:
    pipeline.start_connector(decimal__handling__mode="double")
    await traffic(pipeline.source, next(_seeds), rows=3, changes=40)
    pipeline.start_worker()

    await pipeline.agree()


@pytest.mark.parametrize("case", _some(FLATTENED, "rewritten"))
async def test_flattened_records_are_read(case: str, pipeline: Pipeline) -> None:
    pipeline.start_connector(**_FLAT, **FLATTENED[case])
    await traffic(pipeline.source, next(_seeds), rows=3, changes=40)
    pipeline.start_worker()

    await pipeline.agree()


@pytest.mark.parametrize("case", _some(("adaptive", "nanoseconds", "isostring"), "adaptive"))
async def test_avro_is_read_through_a_registry(
    case: str, pipeline: Pipeline, schema_registry: Registry
) -> None:
    pipeline.start_connector(**_avro(schema_registry), **WITH_SCHEMAS[case])
    await traffic(pipeline.source, next(_seeds), rows=3, changes=40)
    await pipeline.run("TRUNCATE executions")
    pipeline.start_worker(schema_registry_url=schema_registry.url)

    await pipeline.agree()


def _avro(registry: Registry) -> dict[str, str]:
    """Settings of a connector that writes Avro with the frames of Confluent's registry."""
    converter = {
        "": "io.apicurio.registry.utils.converter.AvroConverter",
        "__apicurio__registry__url": f"http://{HOST}:{registry.port}/apis/registry/v2",
        "__apicurio__registry__auto-register": "true",
        "__apicurio__registry__headers__enabled": "false",
        "__apicurio__registry__as-confluent": "true",
        "__apicurio__registry__use-id": "contentId",
    }
    return {
        "schema__name__adjustment__mode": "avro",
        **{
            f"{side}__converter{name}": value
            for side in ("key", "value")
            for name, value in converter.items()
        },
    }
