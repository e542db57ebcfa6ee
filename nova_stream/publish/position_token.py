"""Position tokens: how far the stream must have come to show what somebody has published."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from nova_stream.errors import RejectedError
from nova_stream.events.describe import quoted

#: Without and with the topics' lives.
_BARE, _LIVING = b"\x01", b"\x02"
#: Characters: what a request's address and headers may have together. Six topics of 256 partitions
#: are some 40,000.
_LONGEST = 65_536

_Partition = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class PositionToken(msgspec.Struct, frozen=True):
    """The next offset after what was published, by topic and partition.

    ``lives`` has Kafka's id of each topic: one that is made again has another, and its offsets mean
    nothing for the one before. Of a topic that has none here, the present life is meant. Opaque to
    those who carry it around: ``str(token)`` is what HTTP's ``?after=`` takes.
    """

    positions: dict[str, dict[int, int]] = msgspec.field(default_factory=dict)
    lives: dict[str, str] = msgspec.field(default_factory=dict)

    def __str__(self) -> str:
        return self.encode()

    def encode(self) -> str:
        """The token as text of letters, digits, ``-`` and ``_``; equal tokens give equal texts."""
        ordered = {
            topic: dict(sorted(partitions.items()))
            for topic, partitions in sorted(self.positions.items())
        }
        if not self.lives:
            return _text(_BARE + msgspec.json.encode(ordered))
        return _text(_LIVING + msgspec.json.encode((ordered, dict(sorted(self.lives.items())))))

    @classmethod
    def decode(cls, text: str) -> PositionToken:
        """The token that ``encode`` wrote; raises RejectedError ``bad_token`` for all else."""
        try:
            version, data = _payload(text)
            return cls(_decode(data)) if version == _BARE else cls(*_decode_living(data))
        except (ValueError, TypeError, RecursionError):
            raise RejectedError(
                "bad_token",
                f"{quoted(text)} is not a position token; give one that publishing returned",
            ) from None

    def merge(self, *others: PositionToken) -> PositionToken:
        """A token that is reached when this one and all the others are.

        Of two lives of one topic the later token's counts: of the other nothing can come any more.
        """
        merged = {topic: dict(partitions) for topic, partitions in self.positions.items()}
        lives = dict(self.lives)
        for other in others:
            for topic, partitions in other.positions.items():
                life = other.lives.get(topic)
                if life is not None and lives.setdefault(topic, life) != life:
                    merged[topic], lives[topic] = {}, life
                known = merged.setdefault(topic, {})
                for partition, offset in partitions.items():
                    known[partition] = max(known.get(partition, 0), offset)
        return PositionToken(merged, lives)

    def reached(self, positions: Mapping[tuple[str, int], int]) -> bool:
        """Whether a reader whose next offsets are ``positions``, by topic and partition, has seen
        everything, in the lives that are meant; a partition that is absent stands at 0.
        """
        return all(positions.get(key, 0) >= offset for key, offset in self.offsets())

    def offsets(self) -> Iterable[tuple[tuple[str, int], int]]:
        """Every ((topic, partition), next offset)."""
        for topic, partitions in self.positions.items():
            for partition, offset in partitions.items():
                yield (topic, partition), offset


_Positions = dict[str, dict[_Partition, _Offset]]
_decode = msgspec.json.Decoder(_Positions).decode
_decode_living = msgspec.json.Decoder(tuple[_Positions, dict[str, str]]).decode


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _payload(text: str) -> tuple[bytes, bytes]:
    if len(text) > _LONGEST:
        raise ValueError(len(text))
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    data = b64decode(padded, altchars=b"-_", validate=True)
    if data[:1] not in (_BARE, _LIVING):
        raise ValueError(data[:1])
    return data[:1], data[1:]
