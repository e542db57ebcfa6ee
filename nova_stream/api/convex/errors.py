"""What can go wrong in a call, in the two forms that Convex's clients know."""

from __future__ import annotations


class FunctionError(Exception):
    """A function refuses its call: answered with status 200, as Convex does.

    ``kind`` is what JavaScript would have thrown; None for what Convex says before it calls.
    """

    def __init__(self, message: str, kind: str | None = "Error") -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind

    @property
    def text(self) -> str:
        return self.message if self.kind is None else f"Uncaught {self.kind}: {self.message}"


class RequestError(Exception):
    """The request is no call at all: answered with status 400 and Convex's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
