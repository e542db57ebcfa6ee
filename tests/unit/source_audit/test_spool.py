from __future__ import annotations

from nova_stream.events.change import Entity
from nova_stream.source_audit.settle import Candidate
from nova_stream.source_audit.spool import Spool


def test_items_come_back_in_their_order_as_often_as_wanted() -> None:
    items = [Candidate(Entity.TASKS, f"ü\n{n}", "s", n) for n in range(30_000)]
    with Spool(Candidate) as spool, Spool(Candidate) as other:
        for item in items:
            spool.add(item)
        assert len(spool) == len(items)
        assert list(spool) == items
        next(iter(spool))  # not to its end
        spool.add(items[0])
        assert list(spool) == [*items, items[0]]
        spool.replace(other)
        assert (len(spool), list(spool), len(other)) == (0, [], len(items) + 1)
        other.clear()
        assert list(other) == []
