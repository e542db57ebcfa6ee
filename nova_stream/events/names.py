"""Fields under names of another case: databases fold what nobody quotes, so that ``buildId`` is
``buildid`` in Postgres and ``BUILDID`` in Oracle.

A name that is spelled otherwise counts only in a document that lacks one of the fields which show
how its source spells names; elsewhere it is a field of the source's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nova_stream.errors import RejectedError
from nova_stream.events.change import COLUMNS, Entity
from nova_stream.events.documents import COLUMN_NAMES, RULES, camel_case

#: Fields that show the spelling besides the typed columns, where one of those is a single word.
_MORE = {Entity.ACTIVITIES: ("agentName", "eventType")}


def folded(name: str) -> str:
    """A name without case and underscores; one that begins with one is no source's column."""
    return name if name.startswith("_") else name.replace("_", "").lower()


def id_name(document: Mapping[str, object]) -> str:
    """The name under which a document, or a key, has its id, in whatever case."""
    if "id" in document:
        return "id"
    return next((name for name in document if name.lower() == "id"), "id")


def field_names(entity: Entity) -> frozenset[str]:
    """The folded names of an entity's fields, but for the id, which everything has."""
    return frozenset(map(folded, RULES[entity])) - {"id"}


class Spellings:
    """The names of an entity's fields in other spellings than the two that everything has."""

    def __init__(self, entity: Entity) -> None:
        self._fields = {folded(name): name for name in RULES[entity]}
        self._exact: dict[str, tuple[str, ...]] = {name: (name,) for name in RULES[entity]}
        for column, name in COLUMN_NAMES[entity].items():
            self._exact[name] = (name, column)
        columns = map(camel_case, COLUMNS[entity])
        self._shown = ("id", *columns, *_MORE.get(entity, ()))

    def field(self, name: str) -> str | None:
        """The field that a name may mean that is none of a field."""
        return self._fields.get(folded(name))

    def has_others(self, names: Iterable[str]) -> bool:
        """Whether one of these names is that of a field, in another spelling than the document's
        own.
        """
        return any(name not in self._exact and self.field(name) is not None for name in names)

    def meant(self, name: str, document: Mapping[str, object], where: str) -> str | None:
        """The field that a name of a document means which is none of a field; None for a field of
        the source's own.

        Raises RejectedError ``wrong_shape`` where another name of the document may mean it as well.
        """
        field = self.field(name)
        if field is None or any(exact in document for exact in self._exact[field]):
            return None
        if all(self._has(document, shown) for shown in self._shown):
            return None
        others = [given for given in document if given != name and self.field(given) == field]
        if others:
            raise RejectedError(
                "wrong_shape",
                f"{where} has {name[:60]} and {others[0][:60]}, each of which may be {field}",
            )
        return field

    def _has(self, document: Mapping[str, object], field: str) -> bool:
        return any(document.get(name) is not None for name in self._exact[field])
