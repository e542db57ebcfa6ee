"""The stream's lag, pace and freshness over time, and what a run's statements took."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SAMPLES = """
CREATE TABLE stream_samples (
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    worker TEXT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    lag DOUBLE PRECISION,
    lag_seconds DOUBLE PRECISION NOT NULL,
    lag_max BIGINT,
    applied BIGINT NOT NULL,
    flushes BIGINT NOT NULL,
    freshness_ms_sum DOUBLE PRECISION NOT NULL,
    freshness_ms_max DOUBLE PRECISION,
    freshness NUMERIC NOT NULL,
    PRIMARY KEY (at, worker)
)"""
HISTORY = """
CREATE VIEW stream_history AS
SELECT date_trunc('minute', at, 'UTC') AS minute, sum(seconds) AS seconds,
    sum(lag * lag_seconds) / nullif(sum(lag_seconds), 0) AS lag_records,
    max(lag_max) AS lag_records_max,
    sum(applied)::bigint AS applied_records,
    sum(applied)::float8 / nullif(sum(seconds), 0) AS applied_records_per_second,
    sum(freshness_ms_sum) / nullif(sum(flushes)::float8, 0) AS freshness_ms_avg,
    max(freshness_ms_max) AS freshness_ms_max
FROM (
    SELECT at, max(seconds) AS seconds, avg(lag) AS lag,
        max(lag_seconds) AS lag_seconds, max(lag_max) AS lag_max,
        sum(applied) AS applied, sum(flushes) AS flushes,
        sum(freshness_ms_sum) AS freshness_ms_sum, max(freshness_ms_max) AS freshness_ms_max
    FROM stream_samples GROUP BY at
) s GROUP BY 1
"""


def upgrade() -> None:
    op.execute(SAMPLES)
    op.execute(HISTORY)
    op.execute("ALTER TABLE job_runs ADD COLUMN query_ms DOUBLE PRECISION")


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
