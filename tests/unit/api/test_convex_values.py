"""Convex's values, validators and ids."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.api.convex import ids, values
from nova_stream.api.convex.errors import FunctionError
from nova_stream.api.convex.functions import take
from nova_stream.api.convex.validators import (
    ANY,
    BOOLEAN,
    NUMBER,
    STRING,
    Fields,
    Id,
    ListOf,
    OneOf,
    Optional,
    check_arguments,
    the_argument,
)
from nova_stream.events.change import Entity
from nova_stream.events.json_text import parse_json

#: Made by Convex's own way of writing ids, from table 10001 and the bytes 0 to 15.
FOREIGN = "j57000820c20a1g7104gm2rc1m70ynr8"


def read(text: str) -> Any:
    return values.read_value(parse_json(text.encode(), "here"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("true", True),
        ('"x"', "x"),
        ("[1, 2.5]", [1.0, 2.5]),
        ('{"a": {"b": []}}', {"a": {"b": []}}),
        ('{"$integer": "AQAAAAAAAAA="}', 1),
        ('{"$integer": "//////////8="}', -1),
        ('{"$float": "AAAAAAAA8H8="}', math.inf),
        ('{"$bytes": "AAE="}', b"\x00\x01"),
    ],
)
def test_values_are_read(text: str, value: Any) -> None:
    found = read(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        '{"$integer": 1}',
        '{"$integer": "AQ=="}',
        '{"$integer": "?"}',
        '{"$float": "AAAAAAAA8D8="}',  # 1.0 has a plain form
        '{"$set": []}',
        '{"$a": 1, "b": 2}',
        '{"größe": 1}',
        '{"a\\u0000": 1}',
        '"\\u0000"',
        "1e400",
    ],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(FunctionError):
        read(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.0, "1.0"),
        (7, "7"),
        (math.nan, "NaN"),
        ('a "b"', '"a \\"b\\""'),
        ({"b": [1.0], "a": False}, "{a: false, b: [1.0]}"),
    ],
)
def test_values_are_shown_as_convex_does(value: Any, text: str) -> None:
    assert values.shown(value) == text


def test_of_a_long_value_the_beginning_is_shown() -> None:
    assert len(values.shown(["x" * 100_000] * 1000)) < 5000


def test_results_are_written_in_both_formats() -> None:
    value = {"b": -0.0, "a": [{"$in": 1, "é": 2, "ok": math.inf}]}
    assert values.written(value, "convex_encoded_json") == {
        "a": [{"ok": {"$float": "AAAAAAAA8H8="}}],
        "b": {"$float": "AAAAAAAAAIA="},
    }
    assert values.written(value, "json") == {"a": [{"ok": math.inf}], "b": -0.0}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5.0, "5"),
        (-0.5, "-0.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_numbers_in_a_text_are_javascripts(number: float, text: str) -> None:
    assert values.number_text(number) == text


@pytest.mark.parametrize(
    ("text", "length", "found"),
    [
        ("abc", 2, "ab"),
        ("abc", 3, "abc"),
        ("a😀b", 3, "a😀"),
        ("a😀b", 2, "a"),
        ("é" * 9, 8, "é" * 8),
    ],
)
def test_texts_are_cut_as_javascript_counts(text: str, length: int, found: str) -> None:
    assert values.substring(text, length) == found


def test_json_texts_have_whole_numbers() -> None:
    assert (
        values.json_text({"a": [1.0, 2.5, math.nan], "b": b"x"}) == '{"a":[1,2.5,null],"b":"eA=="}'
    )


# -- validators ------------------------------------------------------------------------------------

FIELDS = Fields(
    {
        "s": STRING,
        "n": Optional(NUMBER),
        "b": Optional(BOOLEAN),
        "one": Optional(OneOf("x", "y")),
        "list": Optional(ListOf(STRING)),
        "id": Optional(Id(Entity.TASKS)),
        "any": Optional(ANY),
        "inner": Optional(Fields({"a": NUMBER})),
    }
)
TEXT = (
    "v.object({any: v.optional(v.any()), b: v.optional(v.boolean()), "
    'id: v.optional(v.id("tasks")), inner: v.optional(v.object({a: v.float64()})), '
    "list: v.optional(v.array(v.string())), n: v.optional(v.float64()), "
    'one: v.optional(v.union(v.literal("x"), v.literal("y"))), s: v.string()})'
)
BUILD = ids.new_id(Entity.BUILDS, 1771588800000000)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            {},
            "Object is missing the required field `s`. Consider wrapping the field validator in "
            f"`v.optional(...)` if this is expected.\n\nObject: {{}}\nValidator: {TEXT}",
        ),
        (
            {"s": "", "z": 1.0},
            "Object contains extra field `z` that is not in the validator.\n\n"
            f'Object: {{s: "", z: 1.0}}\nValidator: {TEXT}',
        ),
        (
            {"s": None},
            "Value does not match validator.\nPath: .s\nValue: null\nValidator: v.string()",
        ),
        (
            {"s": "", "n": 1},
            "Value does not match validator.\nPath: .n\nValue: 1\nValidator: v.float64()",
        ),
        (
            {"s": "", "b": 1.0},
            "Value does not match validator.\nPath: .b\nValue: 1.0\nValidator: v.boolean()",
        ),
        (
            {"s": "", "list": ["", 2.0]},
            "Value does not match validator.\nPath: .list[1]\nValue: 2.0\nValidator: v.string()",
        ),
        (
            {"s": "", "one": ["x"]},
            'Value does not match validator.\nPath: .one\nValue: ["x"]\n'
            'Validator: v.union(v.literal("x"), v.literal("y"))',
        ),
        (
            {"s": "", "inner": {}},
            "Object is missing the required field `a`. Consider wrapping the field validator in "
            "`v.optional(...)` if this is expected.\nPath: .inner\nObject: {}\n"
            "Validator: v.object({a: v.float64()})",
        ),
        (
            {"s": "", "id": BUILD},
            f'Found ID "{BUILD}" from table `builds`, which does not match the table name in '
            'validator `v.id("tasks")`.Path: .id',
        ),
        (
            {"s": "", "id": ""},
            'Value does not match validator.\nPath: .id\nValue: ""\nValidator: v.id("tasks")',
        ),
    ],
)
def test_arguments_that_do_not_fit(argument: dict[str, Any], message: str) -> None:
    with pytest.raises(FunctionError) as refused:
        check_arguments(FIELDS, argument)
    assert refused.value.text == f"ArgumentValidationError: {message}"


def test_arguments_that_fit() -> None:
    argument = {"s": "", "n": 1.0, "b": True, "one": "x", "list": [], "any": None, "id": "anything"}
    check_arguments(FIELDS, {**argument, "inner": {"a": 0.5}})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "single object as the function's argument. Instead received 0 arguments: []"),
        ([{}, {}], "Instead received 2 arguments: [{}, {}]"),
        (["x"], 'Expected to receive an object as the function\'s argument. Instead received: "x"'),
    ],
)
def test_a_call_has_one_argument(args: list[Any], message: str) -> None:
    with pytest.raises(FunctionError, match=re.escape(message)):
        the_argument(args)


@pytest.mark.parametrize("number", [-1.0, 0.5, math.nan, math.inf])
def test_limits_are_whole_and_not_negative(number: float) -> None:
    with pytest.raises(FunctionError) as refused:
        take(number)
    assert refused.value.text == (
        "Uncaught TypeError: Arg 1 `n` to `take` must be a non-negative integer"
    )


def test_limits_have_a_limit() -> None:
    assert (take(0.0), take(7.0), take(1e300)) == (0, 7, 16_384)


# -- ids -------------------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1), st.sampled_from([*ids.TABLE_NAMES]))
def test_an_id_names_its_table(number: int, entity: Entity) -> None:
    id_ = ids.new_id(entity, number)
    assert re.fullmatch("[0-9a-hjkmnp-tv-z]{32}", id_)
    assert ids.table_of(id_) is entity


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_ids_sort_as_they_were_made(one: int, other: int) -> None:
    first, second = (ids.new_id(Entity.TASKS, number) for number in sorted((one, other)))
    assert one == other or first < second


@given(st.text(max_size=40))
def test_other_texts_name_no_table(text: str) -> None:
    assert ids.table_of(text) is None


def test_an_id_of_a_deployment_is_not_ours() -> None:
    assert ids.table_of(FOREIGN) is None


def test_a_misspelt_id_is_not_ours() -> None:
    id_ = ids.new_id(Entity.TASKS, 1)
    assert ids.table_of(id_[:-1] + ("0" if id_[-1] != "0" else "1")) is None
