"""Position tokens: how far the stream must have come to show what somebody has published."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from nova_stream.errors import RejectedError
from nova_stream.events.wording import quoted

_VERSION = b"\x01"
#: Six topics of 512 partitions are some 100,000 characters.
_LONGEST = 1_000_000

_Partition = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class PositionToken(msgspec.Struct, frozen=True):
    """The next offset after what was published, by topic and partition.

    Opaque to those who carry it around: ``str(token)`` is what HTTP's ``?after=`` takes.
    """

    positions: dict[str, dict[int, int]] = msgspec.field(default_factory=dict)

    def __str__(self) -> str:
        return self.encode()

    def encode(self) -> str:
        """The token as text of letters, digits, ``-`` and ``_``; equal tokens give equal texts."""
        ordered = {
            topic: dict(sorted(partitions.items()))
            for topic, partitions in sorted(self.positions.items())
        }
        data = msgspec.json.encode(ordered)
        return urlsafe_b64encode(_VERSION + data).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> PositionToken:
        """The token that ``encode`` wrote; raises RejectedError ``bad_token`` for all else."""
        try:
            return cls(_decode(_payload(text)))
        except (ValueError, TypeError, RecursionError):
            raise RejectedError(
                "bad_token",
                f"{quoted(text)} is no position token; allowed is one that publishing has given",
            ) from None

    def merge(self, *others: PositionToken) -> PositionToken:
        """A token that is reached when this one and all the others are."""
        merged = {topic: dict(partitions) for topic, partitions in self.positions.items()}
        for other in others:
            for topic, partitions in other.positions.items():
                known = merged.setdefault(topic, {})
                for partition, offset in partitions.items():
                    known[partition] = max(known.get(partition, 0), offset)
        return PositionToken(merged)

    def reached(self, positions: Mapping[tuple[str, int], int]) -> bool:
        """Whether a reader whose next offsets are ``positions``, by topic and partition, has seen
        everything; a partition that is absent stands at 0.
        """
        return all(positions.get(key, 0) >= offset for key, offset in self.offsets())

    def offsets(self) -> Iterable[tuple[tuple[str, int], int]]:
        """Every ((topic, partition), next offset)."""
        for topic, partitions in self.positions.items():
            for partition, offset in partitions.items():
                yield (topic, partition), offset


_decode = msgspec.json.Decoder(dict[str, dict[_Partition, _Offset]]).decode


def _payload(text: str) -> bytes:
    if len(text) > _LONGEST:
        raise ValueError(len(text))
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    data = b64decode(padded, altchars=b"-_", validate=True)
    if data[:1] != _VERSION:
        raise ValueError(data[:1])
    return data[1:]
