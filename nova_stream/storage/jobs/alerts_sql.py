"""Every statement of the alerts and of their deliveries, by name."""

from __future__ import annotations

from nova_stream.storage import locks

#: One worker at a time looks; the others leave it to that one.
TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({locks.ALERTS})"

#: $1: how many runs of each job, the newest first; only the newest two with their results.
RUNS = """
SELECT j.job, r.outcome, r.duration_ms, CASE WHEN r.place <= 2 THEN r.result END AS result
FROM job_settings j CROSS JOIN LATERAL (
    SELECT n.*, row_number() OVER (ORDER BY n.scheduled_at DESC) AS place FROM (
        SELECT scheduled_at, outcome, duration_ms, result FROM job_runs
        WHERE job = j.job AND outcome IN ('ok', 'late', 'manual', 'failed', 'timed_out')
        ORDER BY scheduled_at DESC LIMIT $1
    ) n
) r
WHERE j.active ORDER BY j.job, r.place
"""

#: $1 since: missed slots that were noted after it. $2 from, $3 until: slots without a line.
MISSED = """
SELECT job, count(*) AS number, max(slot) AS newest FROM (
    SELECT job, slot FROM job_runs WHERE outcome = 'missed' AND ended_at > $1
    UNION ALL
    SELECT job, slot FROM missing_job_slots($2, $3)
) m GROUP BY job ORDER BY job
"""

#: $1 from, $2 until: how long the oldest slot without a line is due, or a lease has run out.
OVERDUE = """
SELECT job, extract(epoch FROM max(overdue))::float8 AS seconds FROM (
    SELECT job, $2 - scheduled_at AS overdue FROM missing_job_slots($1, $2)
    UNION ALL
    SELECT job, $2 - lease_until FROM job_runs WHERE outcome IS NULL AND lease_until < $2
) o GROUP BY job
"""

OPEN_ALERTS = """
SELECT id, kind, subject, message, value, began_at, ended_at
FROM alerts WHERE ended_at IS NULL ORDER BY id
"""

#: $1 how many, the newest first.
ALL_ALERTS = """
SELECT id, kind, subject, message, value, began_at, ended_at
FROM alerts ORDER BY id DESC LIMIT $1
"""

#: $1 kind, $2 subject, $3 message, $4 value, $5 now.
BEGIN_ALERT = """
INSERT INTO alerts (kind, subject, message, value, began_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, subject) WHERE ended_at IS NULL DO NOTHING RETURNING id
"""
#: $1 alert, $2 message, $3 value.
RENEW_ALERT = "UPDATE alerts SET message = $2, value = $3 WHERE id = $1"
#: $1 alert, $2 now.
END_ALERT = """
UPDATE alerts SET ended_at = greatest($2, began_at) WHERE id = $1 AND ended_at IS NULL RETURNING id
"""

#: $1 alert, $2 event.
QUEUE = """
INSERT INTO alert_deliveries (alert_id, event, next_try_at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT DO NOTHING
"""

#: $1: seconds for which no other worker takes it. An end goes out after its begin.
TAKE = """
UPDATE alert_deliveries t
SET tries = t.tries + 1, next_try_at = clock_timestamp() + make_interval(secs => $1)
FROM alerts a
WHERE a.id = t.alert_id AND t.id = (
    SELECT d.id FROM alert_deliveries d
    WHERE d.sent_at IS NULL AND d.next_try_at <= clock_timestamp() AND NOT EXISTS (
        SELECT FROM alert_deliveries e
        WHERE e.alert_id = d.alert_id AND e.id < d.id AND e.sent_at IS NULL
    )
    ORDER BY d.id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING t.id, t.event, t.tries, a.id AS alert_id, a.kind, a.subject, a.message, a.value,
    a.began_at, CASE WHEN t.event = 'end' THEN a.ended_at END AS ended_at
"""
#: $1 delivery.
SENT = "UPDATE alert_deliveries SET sent_at = clock_timestamp(), error = NULL WHERE id = $1"
#: $1 delivery, $2 pause in seconds, $3 error.
NOT_SENT = """
UPDATE alert_deliveries
SET next_try_at = clock_timestamp() + make_interval(secs => $2), error = $3 WHERE id = $1
"""

#: $1 cut: what ended before it and waits for no delivery.
PRUNE = """
DELETE FROM alerts a WHERE a.ended_at < $1 AND NOT EXISTS (
    SELECT FROM alert_deliveries d WHERE d.alert_id = a.id AND d.sent_at IS NULL
)
"""
