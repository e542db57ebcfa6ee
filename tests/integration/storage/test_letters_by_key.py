"""Dead letters are found by what is in their keys, whatever bytes those have."""

from __future__ import annotations

import pytest

from nova_stream.settings import Settings
from nova_stream.storage.database import connect
from nova_stream.storage.dead_letters.read import dead_letters

pytestmark = pytest.mark.integration

INSERT = """
INSERT INTO dead_letters (topic, partition, "offset", headers, reason, message, key)
VALUES ('t', 0, $1, '[]', 'bad_json', 'no JSON', $2)
"""
KEYS = (
    "Müller".encode(),
    rb"a\b",
    "日本🎉".encode(),
    b"\xff\x00 framed \xc3\xbc",
    b"x" * 1023 + "ü".encode(),
    None,
)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("Müller", [0]),
        ("müLLER", [0]),
        ("a\\b", [1]),
        ("A\\B", [1]),
        ("🎉", [2]),
        ("Framed", [3]),
        ("d ü", [3]),
        ("ü", [3, 0]),
        ("%", []),
        ("303", [3]),  # an octal of bytes that are no text
        ("json", [5, 4, 3, 2, 1, 0]),
    ],
)
async def test_a_letter_is_found_by_its_key(
    nova_settings: Settings, q: str, found: list[int]
) -> None:
    connection = await connect(nova_settings, "test")
    for offset, key in enumerate(KEYS):
        await connection.execute(INSERT, offset, key)
    letters = (await dead_letters(connection, 10, q=q)).rows
    assert [letter.offset for letter in letters] == found
    await connection.close()
