"""Statements sent as one: each keeps its own parameters."""

from __future__ import annotations

from nova_stream.storage.apply.together import joined

UPDATE = "UPDATE a SET x = $2 WHERE id = $1"
DELETE = "DELETE FROM b"
INSERT = "INSERT INTO c VALUES ($1, $2, $1)"


def test_one_statement_stays_as_it_is() -> None:
    assert joined((UPDATE,)) == UPDATE


def test_parameters_follow_those_of_the_statements_before() -> None:
    assert joined((UPDATE, DELETE, INSERT)) == (
        "WITH part_0 AS (UPDATE a SET x = $2 WHERE id = $1), part_1 AS (DELETE FROM b)"
        " INSERT INTO c VALUES ($3, $4, $3)"
    )


def test_ten_parameters_and_more() -> None:
    ten = f"SELECT {', '.join(f'${n}' for n in range(1, 11))}"
    assert joined((ten, "SELECT $1")).endswith(" SELECT $11")
    assert joined((DELETE, ten)).endswith(" " + ten)
