"""Every statement of the stream's state as operators look at it, by name."""

from __future__ import annotations

from nova_stream.storage.apply.fold import GENERATION_BITS

OPEN_DEAD_LETTERS = "SELECT count(*) FROM dead_letters WHERE state = 'open'"

#: $1 jobs: the newest run of each that went well.
AUDITS = """
SELECT r.job, r.id, r.ended_at, r.result FROM unnest($1::text[]) AS j (job) CROSS JOIN LATERAL (
    SELECT job, id, ended_at, result FROM job_runs
    WHERE job = j.job AND outcome IN ('ok', 'late', 'manual')
    ORDER BY scheduled_at DESC LIMIT 1
) r
"""


def _last_of_partition(table: str, topic: str, condition: str) -> str:
    # Made from our own constants, never from input.
    return f"""
SELECT s.updated_at, extract(epoch FROM s.updated_at - x.changed_at) * 1000 AS age_ms
FROM (
    SELECT src_partition, src_offset, changed_at FROM {table}
    WHERE timestamp IS NOT NULL {condition} ORDER BY timestamp DESC, id DESC LIMIT 100
) x JOIN stream_positions s
    ON s.topic = {topic} AND s.partition = x.src_partition
        AND s.records_end = x.src_offset % (1::bigint << {GENERATION_BITS}) + 1"""  # noqa: S608


#: $1 the topic of executions, $2 of activities: how old the newest change was when it was
#: committed. A position's time is that of the last record below it, so only a row which that
#: record made can tell; no row when none of the newest is one.
FRESHNESS = f"""
SELECT age_ms FROM (
{_last_of_partition("executions", "$1::text", "AND doc IS NOT NULL")}
UNION ALL
{_last_of_partition("agent_activity_feed", "$2::text", "")}
) n ORDER BY updated_at DESC LIMIT 1
"""  # noqa: S608 - our own text
