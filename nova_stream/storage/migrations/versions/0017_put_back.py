"""Putting back what a job took away as functions, which those may call who may write neither these
rows nor their archives.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_COLUMNS = (
    "timestamp",
    "version_generation",
    "version",
    "version_minor",
    "changed_at",
    "src_partition",
    "src_offset",
    "doc",
)

STATEMENTS = (
    # BEGIN ATOMIC: its names mean what they mean here, whatever its callers have in their search
    # path or among their temporary tables.
    f"""
CREATE FUNCTION restore_activities(run BIGINT, batch INTEGER, days INTEGER)
RETURNS TABLE (restored BIGINT, seen BIGINT) LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    WITH chosen AS MATERIALIZED (
        SELECT c.id FROM activity_archive c WHERE c.run_id = run AND c.restored_at IS NULL
        ORDER BY c.id LIMIT batch
    ), locked AS MATERIALIZED (
        SELECT x.id FROM activity_archive x
        WHERE x.run_id = run AND x.restored_at IS NULL AND x.id = ANY (ARRAY(SELECT id FROM chosen))
        ORDER BY x.id COLLATE "C" FOR UPDATE
    ), marked AS (
        UPDATE activity_archive x
        SET restored_at = now(), kept_until = now() + make_interval(days => days)
        FROM locked WHERE x.run_id = run AND x.id = locked.id
        RETURNING x.id, {", ".join(f"x.{column}" for column in _COLUMNS)}
    ), back AS (
        INSERT INTO agent_activity_feed AS t (id, {", ".join(_COLUMNS)})
        SELECT id, {", ".join(_COLUMNS)} FROM marked ORDER BY id COLLATE "C"
        ON CONFLICT (id) DO UPDATE SET
            deleted_at = NULL, {", ".join(f"{column} = excluded.{column}" for column in _COLUMNS)}
        WHERE (excluded.version_generation, excluded.version, excluded.version_minor)
            > (t.version_generation, t.version, t.version_minor)
        RETURNING t.id
    )
    SELECT (SELECT count(*) FROM back), (SELECT count(*) FROM locked);
END""",  # noqa: S608 - our own constants
    """
CREATE FUNCTION restore_user_activity(run BIGINT, days INTEGER)
RETURNS BIGINT LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    WITH back AS (
        UPDATE user_activity_archive x SET kept_until = now() + make_interval(days => days)
        WHERE x.run_id = run AND x.kept_until IS NULL AND x.user_id IN (
            SELECT p.user_id FROM user_profiles p
            WHERE p.deleted_at IS NULL AND p.user_id <> 'system'
                AND octet_length(p.user_id) <= 1024)
        RETURNING x.day, x.user_id
    ), put AS (
        INSERT INTO user_activity_daily (day, user_id, settled)
        SELECT b.day, b.user_id, true FROM back b ON CONFLICT DO NOTHING RETURNING 1
    ), floor AS (
        DELETE FROM engagement_floors f WHERE f.run_id = run
    )
    SELECT count(*) FROM put;
END""",
    "REVOKE ALL ON FUNCTION restore_activities, restore_user_activity FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
