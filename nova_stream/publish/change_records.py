"""Records of changes that say themselves what their version is, for ``RawPublisher``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nova_stream.events.change import Entity, Version, VersionKind
from nova_stream.events.encode import Op, cloudevents_headers, encode_key
from nova_stream.events.envelope import VERSION_HEADER
from nova_stream.events.json_text import encode_json
from nova_stream.publish.raw import RawRecord


def change_record(
    place: tuple[str, int],
    entity: Entity,
    op: Op,
    id_: str,
    version: Version,
    source: Mapping[str, Any],
    *,
    ts_ms: int,
    source_name: str,
    before: object = None,
    after: object = None,
) -> RawRecord:
    """The record of a change for ``place``, a topic and partition, unchecked.

    ``source`` is what it says of its version's origin; where that is nothing, the version is the
    offset that a header tells.
    """
    headers = cloudevents_headers(entity, op, id_, version, ts_ms=ts_ms, source_name=source_name)
    if not source:
        headers.append((VERSION_HEADER, f"{VersionKind.OFFSET.value}:{version.number}".encode()))
    origin = {
        "connector": "nova",
        "name": source_name,
        "minor": version.minor,
        "ts_ms": ts_ms,
        **source,
    }
    value = encode_json(
        {"op": op, "ts_ms": ts_ms, "before": before, "after": after, "source": origin}
    )
    return RawRecord(*place, encode_key(id_), value, headers)
