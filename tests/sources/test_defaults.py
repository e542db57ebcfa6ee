"""Columns with defaults: null is null, whatever the column's default is."""

from __future__ import annotations

import pytest

from tests.sources.pipeline import Pipeline

pytestmark = pytest.mark.sources


FORMS = {
    "as recommended": {},
    "with schemas": {"value__converter__schemas__enable": "true"},
    "flattened": {
        "transforms": "unwrap,route",
        "transforms__unwrap__type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms__unwrap__add__fields": "op,lsn,source.ts_ms",
        "transforms__unwrap__replace__null__with__default": "false",
    },
}


@pytest.mark.parametrize(
    "form",
    [
        "as recommended",
        pytest.param("with schemas", marks=pytest.mark.sources_long),
        pytest.param("flattened", marks=pytest.mark.sources_long),
    ],
)
async def test_a_null_is_no_default(pipeline: Pipeline, form: str) -> None:
    await pipeline.run(
        "ALTER TABLE tasks ALTER agent SET DEFAULT 'NOVA', ALTER attempts SET DEFAULT 3, "
        "ALTER title SET DEFAULT 'untitled'",
        "ALTER TABLE executions ALTER gates_passed SET DEFAULT true, "
        "ALTER duration SET DEFAULT '5 s', ALTER timestamp SET DEFAULT '2026-02-20 12:00:00+00'",
        "ALTER TABLE builds ALTER completed_at SET DEFAULT '2026-02-20 12:00:00'",
        "UPDATE tasks SET agent = NULL, attempts = NULL, title = NULL",
        "UPDATE executions SET gates_passed = NULL, duration = NULL, timestamp = NULL",
        "UPDATE builds SET completed_at = NULL",
    )
    pipeline.start_connector(**FORMS[form])
    await pipeline.agree()
    await pipeline.run("UPDATE tasks SET status = 'done'", "UPDATE executions SET error = 'none'")
    await pipeline.agree()
