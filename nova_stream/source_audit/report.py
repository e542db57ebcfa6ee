"""What a comparison with the source has found."""

from __future__ import annotations

import msgspec

from nova_stream.events.change import Entity
from nova_stream.source_audit.compare import Difference

#: Differences that a report shows; the others are counted.
SHOWN = 100


class SourceReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a comparison found; the first five fields always stand in its JSON.

    ``compared`` counts the ids on either side. ``own`` rows differ because jobs of nova-stream have
    changed them; ``unsettled`` ones changed too often, or were on their way for too long, to be
    told; ``behind`` records were not applied when the comparison began, because the stream stands;
    ``repaired`` were published, and ``remaining`` differ even so.
    """

    compared: int
    missing: int
    surplus: int
    different: int
    differences: list[Difference]
    own: int = 0
    unsettled: int = 0
    behind: int = 0
    repaired: int | None = None
    remaining: int = 0
    not_compared: list[Entity] = msgspec.field(default_factory=list, name="notCompared")

    @property
    def good(self) -> bool:
        """Whether the source and the rows are equal now, as far as can be told."""
        if self.behind or (self.repaired is not None and self.remaining):
            return False
        return self.repaired is not None or not (self.missing or self.surplus or self.different)
