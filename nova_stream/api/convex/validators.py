"""Convex's validators of arguments, with its messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias

from nova_stream.api.convex.errors import FunctionError
from nova_stream.api.convex.ids import TABLE_NAMES, table_of
from nova_stream.api.convex.values import shown
from nova_stream.events.change import Entity


class MismatchError(Exception):
    """A value that its validator refuses; ``path`` leads to it from the outermost object."""

    def __init__(self, before: str, after: str = "") -> None:
        super().__init__(before)
        self.before = before
        self.after = after
        self.path = ""

    def inside(self, step: str) -> MismatchError:
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        path = f"Path: {self.path}" if self.path else ""
        return f"{self.before}{path}{self.after}"


class Validator(ABC):
    """What a value must be; ``text`` is how the main app writes it."""

    text: str

    @abstractmethod
    def check(self, value: Any) -> None:
        """Raise MismatchError unless ``value`` fits."""

    def no_match(self, value: Any) -> MismatchError:
        after = f"\nValue: {shown(value)}\nValidator: {self.text}"
        return MismatchError("Value does not match validator.\n", after)


class _Type(Validator):
    def __init__(self, name: str, kind: type) -> None:
        self.text = f"v.{name}()"
        self._kind = kind

    def check(self, value: Any) -> None:
        if type(value) is not self._kind:
            raise self.no_match(value)


class _Any(Validator):
    text = "v.any()"

    def check(self, value: Any) -> None:
        """Everything fits."""


STRING = _Type("string", str)
NUMBER = _Type("float64", float)
BOOLEAN = _Type("boolean", bool)
ANY = _Any()


class Id(Validator):
    """An id. Any text may be one, since documents come from elsewhere, too; but not the id that
    was made here for another table.
    """

    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        self.text = f'v.id("{TABLE_NAMES[entity]}")'

    def check(self, value: Any) -> None:
        if type(value) is not str or not value:
            raise self.no_match(value)
        found = table_of(value)
        if found not in {None, self._entity}:
            raise MismatchError(
                f'Found ID "{value}" from table `{TABLE_NAMES[found]}`, which does not match the '
                f"table name in validator `{self.text}`."
            )


class OneOf(Validator):
    """One of several words."""

    def __init__(self, *words: str) -> None:
        self._words = words
        listed = ", ".join(f'v.literal("{word}")' for word in words)
        self.text = f"v.union({listed})"

    def check(self, value: Any) -> None:
        if value not in self._words:
            raise self.no_match(value)


class ListOf(Validator):
    """A list."""

    def __init__(self, item: Validator) -> None:
        self._item = item
        self.text = f"v.array({item.text})"

    def check(self, value: Any) -> None:
        if type(value) is not list:
            raise self.no_match(value)
        for index, item in enumerate(value):
            try:
                self._item.check(item)
            except MismatchError as error:
                raise error.inside(f"[{index}]") from None


class Optional:
    """A field that may be missing; null is not missing."""

    def __init__(self, validator: Validator) -> None:
        self.validator = validator


#: The fields of an object, by name.
Members: TypeAlias = dict[str, Validator | Optional]


class Fields(Validator):
    """An object with these fields and no others."""

    def __init__(self, fields: Mapping[str, Validator | Optional]) -> None:
        self.fields = dict(sorted(fields.items()))
        self.text = f"v.object({{{', '.join(map(self._field_text, self.fields))}}})"

    def check(self, value: Any) -> None:
        if type(value) is not dict:
            raise self.no_match(value)
        for name, field in self.fields.items():
            if name in value:
                self._check_field(name, value[name])
            elif not isinstance(field, Optional):
                raise self._refusal(
                    f"Object is missing the required field `{name}`. Consider wrapping the field "
                    "validator in `v.optional(...)` if this is expected.",
                    value,
                )
        for name in sorted(value):
            if name not in self.fields:
                message = f"Object contains extra field `{name}` that is not in the validator."
                raise self._refusal(message, value)

    def _check_field(self, name: str, value: Any) -> None:
        field = self.fields[name]
        try:
            (field.validator if isinstance(field, Optional) else field).check(value)
        except MismatchError as error:
            raise error.inside(f".{name}") from None

    def _field_text(self, name: str) -> str:
        field = self.fields[name]
        if isinstance(field, Optional):
            return f"{name}: v.optional({field.validator.text})"
        return f"{name}: {field.text}"

    def _refusal(self, message: str, value: Any) -> MismatchError:
        return MismatchError(f"{message}\n", f"\nObject: {shown(value)}\nValidator: {self.text}")


def the_argument(args: list[Any]) -> dict[str, Any]:
    """The one object that a call gives its function; raises FunctionError for anything else."""
    if len(args) != 1:
        raise FunctionError(
            "ArgumentValidationError: Expected to receive a single object as the function's "
            f"argument. Instead received {len(args)} arguments: {shown(args)}",
            None,
        )
    if not isinstance(args[0], dict):
        raise FunctionError(
            "ArgumentValidationError: Expected to receive an object as the function's argument. "
            f"Instead received: {shown(args[0])}",
            None,
        )
    return args[0]


def check_arguments(fields: Fields, argument: dict[str, Any]) -> None:
    """Raise FunctionError with Convex's words unless the argument fits."""
    try:
        fields.check(argument)
    except MismatchError as error:
        raise FunctionError(f"ArgumentValidationError: {error}", None) from None
