"""What a source of documents offers to the audit: its tables, and snapshots of them.

Both sides speak in *plain texts*: each field of a document as the text that its meaning has
(``plain``), None where it has no value. Two rows are equal when their plain texts are.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from nova_stream.events.change import COLUMNS, Entity, VersionKind
from nova_stream.events.documents import RULES, Kind, camel_case

#: The plain texts of a row's fields, by the documents' names of the fields; ``id`` among them.
Values = Mapping[str, str | None]


class ComparedField(NamedTuple):
    """A field that both sides have.

    A ``loose`` field has many forms of one meaning (JSON in a text column, times as text): SQL
    gives it as it stands, and ``plain.loose_text`` brings both sides into one form.
    """

    name: str
    kind: Kind
    loose: bool = False


class SourceTable(NamedTuple):
    """The table of an entity in the source; ``place`` names it in messages.

    ``absent`` are the documents' fields that it has no column for, ``unknown`` its columns that no
    figure and no field knows: neither is compared.
    """

    entity: Entity
    place: str
    fields: tuple[ComparedField, ...]
    absent: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Digest(NamedTuple):
    """A row as the first pass compares it.

    ``figures`` is ``digest`` of the fields in typed columns, ``document`` of all that are not loose
    (None where nova-stream has archived the document). ``loose`` are the loose fields, unread.
    """

    id: str
    figures: str
    document: str | None
    loose: tuple[str | None, ...]


class Reader(NamedTuple):
    """Who takes the source's changes away: how far it has confirmed them, and whether it runs.

    ``what`` it is and the ``unit`` of its position are words for messages.
    """

    name: str
    position: int
    active: bool
    what: str = "the replication slot"
    unit: str = "bytes of the source's log"


class SourceSnapshot(Protocol):
    """The source's tables as of one instant."""

    @property
    def position(self) -> int | None:
        """A place in the source's log behind every change that the snapshot shows; None where the
        source has no such log.
        """

    @property
    def floor(self) -> int | None:
        """A version in front of every change that the snapshot does not show, so that a row that
        is published with it never outranks one; None when none is known.
        """

    def rows(self, table: SourceTable) -> AsyncIterator[Sequence[Digest]]:
        """All rows in batches, by id in the order of code points; each id once."""

    async def values(self, table: SourceTable, ids: Sequence[str]) -> dict[str, Values]:
        """The plain texts of these rows, loose fields read; rows that do not exist are absent."""

    async def documents(self, table: SourceTable, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """These rows as documents with the main app's names, unknown fields included."""


class SourceTables(Protocol):
    """A source that can be compared; open it with ``async with``."""

    #: The kind of versions that ``position`` and ``floor`` compare with.
    kind: VersionKind

    async def tables(self, entities: Iterable[Entity]) -> list[SourceTable]:
        """The tables of these entities, as far as the source has them."""

    def looked_for(self, entity: Entity) -> str:
        """The names that would be an entity's table, for a message that there is none."""

    def snapshot(self) -> AbstractAsyncContextManager[SourceSnapshot]:
        """A snapshot of everything that is committed when it is entered."""

    async def readers(self) -> list[Reader]:
        """Those who take the changes away, where the source knows them."""


def typed_fields(entity: Entity) -> frozenset[str]:
    """The fields that stand in typed columns too: figures are counted by these."""
    return frozenset(camel_case(column) for column in COLUMNS[entity])


def known_fields(entity: Entity) -> dict[str, Kind]:
    """Every field that the documents of an entity are read by, with its kind."""
    return {name: rule.kind for name, rule in RULES[entity].items()}


def digest(texts: Iterable[str | None]) -> str:
    """One text for many, the same as ``sql.digest`` gives: equal when and only when all are."""
    joined = "".join(":;" if t is None else f"{len(t)}:{t};" for t in texts)
    return hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest()


def digest_of(table: SourceTable, values: Values) -> Digest:
    """A row's digest from its plain texts, for sources whose rows do not come from SQL."""
    typed = typed_fields(table.entity)
    strict = [field.name for field in table.fields if not field.loose]
    return Digest(
        id=values["id"] or "",
        figures=digest(figure_text(name, values[name]) for name in strict if name in typed),
        document=digest(values[name] for name in strict),
        loose=tuple(values[field.name] for field in table.fields if field.loose),
    )


def figure_text(name: str, text: str | None) -> str | None:
    """A field's plain text as its typed column has it: without an agent the name is empty."""
    return text or "" if name == "agent" else text
