"""What the product sends as one text, taken apart as Postgres does it."""

from __future__ import annotations

import re

# Where one statement of ``storage/apply/together.py`` ends and the next begins.
_NEXT = re.compile(r"; (?=EXECUTE nova_\d|COMMIT$)")


def statements_of(message: str) -> list[str]:
    """The statements of a message, in their order."""
    return _NEXT.split(message)
