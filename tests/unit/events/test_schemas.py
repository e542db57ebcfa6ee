"""The schemas and the decoder say the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from nova_stream.errors import RejectedError
from nova_stream.events.change import COLUMNS, Entity
from nova_stream.events.documents import DOCUMENTS as STRUCTS
from nova_stream.events.documents import RULES, camel_case
from nova_stream.events.encode import validate_document
from tests.decoding import decode
from tools.json_schema import record_schema
from tools.schemas import differing_files, main, schema_files, write_schemas

from .helpers import (
    DOCUMENTS,
    MARK,
    MARK_OF_BYTES,
    NOON_MS,
    NOON_TEXT,
    Record,
    dumps,
    envelope,
    without,
)

FOLDER = Path(__file__).parents[3] / "schemas"
VALIDATORS = {entity: Draft202012Validator(record_schema(entity)) for entity in Entity}
#: Rejections that a schema can express; the others are a calendar's, Postgres' or Unicode's.
OF_THE_SCHEMA = {
    "missing_id",
    "missing_field",
    "wrong_type",
    "bad_status",
    "bad_duration",
    "wrong_shape",
    "bad_op",
}

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5),
    st.sampled_from(
        [NOON_TEXT, NOON_MS, "done", "completed", "5", "1.5", "-1", "", MARK, MARK_OF_BYTES, [MARK]]
    ),
    st.sampled_from([[], ["t-0"], [1, None], {}, {"a": 1}, {"scale": 0, "value": "AQ=="}]),
    st.sampled_from(["[]", '["t-0"]', "[x", "2026-02-20 12:00:00+01", "x" * 1025, "é" * 1025]),
)


def is_valid(entity: Entity, value: object) -> bool:
    return VALIDATORS[entity].is_valid(json.loads(dumps(value)))


@st.composite
def documents(draw: st.DrawFn) -> tuple[Entity, dict[str, Any]]:
    """Documents of every kind, with some fields replaced, dropped or added."""
    entity = draw(st.sampled_from(list(Entity)))
    names = st.sampled_from([*RULES[entity], "unknown"])
    document = DOCUMENTS[entity] | draw(st.dictionaries(names, VALUES, max_size=3))
    return entity, without(document, draw(st.lists(names, max_size=1)))


@given(documents())
@settings(max_examples=600)
def test_documents_are_decoded_when_valid_and_invalid_when_rejected_for_their_form(
    found: tuple[Entity, dict[str, Any]],
) -> None:
    entity, document = found
    agree(entity, envelope(document))
    if not is_valid(entity, envelope(document)):
        with pytest.raises(RejectedError):
            validate_document(entity, document)


@given(
    st.sampled_from(list(Entity)),
    st.dictionaries(st.sampled_from(["op", "ts_ms", "source", "before", "after", "x"]), VALUES),
    st.dictionaries(st.sampled_from(["seq", "lsn", "minor", "ts_ms", "name"]), VALUES),
    st.sampled_from(["c", "u", "r", "d", "t", "m"]),
    st.booleans(),
)
@settings(max_examples=600)
def test_records_are_decoded_when_valid_and_invalid_when_rejected_for_their_form(
    entity: Entity, fields: dict[str, Any], source: dict[str, Any], op: str, wrapped: bool
) -> None:
    record = envelope(DOCUMENTS[entity], op, before={"id": "x"}, source=source) | fields
    agree(entity, {"schema": None, "payload": record} if wrapped else record)


def agree(entity: Entity, value: object) -> None:
    """Fails where schema and decoder differ, but for what a schema cannot say."""
    valid = is_valid(entity, value)
    try:
        decode(entity, Record(dumps(value)), 3)
    except RejectedError as error:
        unsaid = any(part in str(error) for part in ("holds a JSON list", "before.id is missing"))
        assert not valid or unsaid or error.reason not in OF_THE_SCHEMA, str(error)
    else:
        assert valid, value


@pytest.mark.parametrize("entity", Entity)
def test_a_good_document_is_valid_in_every_wrapping(entity: Entity) -> None:
    record = envelope(DOCUMENTS[entity])
    deletion = envelope(None, "d")
    for value in (
        record,
        deletion,
        {"op": "t"},
        {"op": "m", "message": {"prefix": "p", "content": ""}},
        {"schema": {}, "payload": record},
        {"schema": None, "payload": None},
        DOCUMENTS[entity],
        {"payload": {"id": "x", "__deleted": "true"}},
        {"specversion": "1.0", "data": record},
        {"specversion": "1.0", "data": {"payload": deletion}},
        {"specversion": "1.0", "data_base64": "e30="},
        {"specversion": "1.0", "data": {"after": {}}, "iodebeziumop": "c"},
    ):
        assert is_valid(entity, value)
    bad: list[Any] = [None, [], {}, {"op": "x"}, {"payload": 5}, {"specversion": "1.0"}]
    assert not any(is_valid(entity, value) for value in bad)


@pytest.mark.parametrize("entity", Entity)
def test_structs_rules_columns_and_schemas_know_the_same_fields(entity: Entity) -> None:
    names = {field.encode_name for field in msgspec.structs.fields(STRUCTS[entity])}
    schema = record_schema(entity)["$defs"]["document"]
    assert names == set(RULES[entity]) == set(schema["properties"])
    assert {camel_case(column) for column in COLUMNS[entity]} <= names
    assert set(DOCUMENTS[entity]) <= names
    Draft202012Validator.check_schema(record_schema(entity))


def test_the_files_of_the_folder_are_up_to_date() -> None:
    assert differing_files(FOLDER) == []
    assert set(schema_files()) == {
        "asyncapi.json",
        *(f"nova.{entity.value}.schema.json" for entity in Entity),
    }


def test_checking_names_the_file_that_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "some" / "schemas"
    assert main([str(folder)]) == 0
    assert main([str(folder), "--check"]) == 0
    (folder / "nova.tasks.schema.json").write_text("{}", encoding="utf-8")
    (folder / "nova.users.schema.json").unlink()
    (folder / "nova.old.schema.json").write_text("{}", encoding="utf-8")
    assert main([str(folder), "--check"]) == 1
    said = capsys.readouterr().err
    assert [name in said for name in ("tasks", "users", "old", "builds")] == [True] * 3 + [False]
    write_schemas(folder)
    assert differing_files(folder) == ["nova.old.schema.json"]


def test_the_check_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "tools.schemas", str(FOLDER), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_asyncapi_document_names_every_topic_and_refers_to_what_exists() -> None:
    document = json.loads(schema_files()["asyncapi.json"])
    assert document["asyncapi"] == "3.0.0"
    for entity in Entity:
        channel = document["channels"][entity.value]
        assert channel["address"] == f"nova.{entity.value}"
        message = resolve(document, channel["messages"][f"{entity.value}Change"]["$ref"])
        assert (FOLDER / message["payload"]["schema"]["$ref"]).is_file()
        headers = resolve(document, message["traits"][0]["$ref"])["headers"]
        Draft7Validator.check_schema(headers)
        for operation in (
            f"receive{entity.value.capitalize()}",
            f"send{entity.value.capitalize()}",
        ):
            found = document["operations"][operation]
            assert resolve(document, found["channel"]["$ref"]) == channel
            resolve(document, found["messages"][0]["$ref"])


def resolve(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document
