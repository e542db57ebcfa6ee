"""Who was active on which day, and the figures of engagement made from it."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
CREATE TABLE user_activity_daily (
    day DATE NOT NULL,
    user_id TEXT NOT NULL,
    settled BOOLEAN DEFAULT false NOT NULL,
    PRIMARY KEY (day, user_id)
)""",
    "CREATE INDEX user_activity_daily_user_id ON user_activity_daily (user_id, day)",
    # Without a key of its own content: who adds to it never waits for who takes from it.
    """
CREATE TABLE user_activity_cleaned (
    id BIGSERIAL NOT NULL,
    day DATE NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (id)
)""",
    """
CREATE TABLE user_activity_archive (
    run_id BIGINT NOT NULL,
    day DATE NOT NULL,
    user_id TEXT NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE NOT NULL,
    kept_until TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (run_id, day, user_id)
)""",
    """
CREATE TABLE engagement_floors (
    run_id BIGINT NOT NULL,
    floor DATE NOT NULL,
    PRIMARY KEY (run_id)
)""",
    """
CREATE TABLE engagement_days (
    day DATE NOT NULL,
    dau BIGINT NOT NULL,
    wau BIGINT NOT NULL,
    mau BIGINT NOT NULL,
    new_users BIGINT NOT NULL,
    returned BIGINT NOT NULL,
    counted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (day)
)""",
    """
CREATE TABLE engagement_cohorts (
    cohort_week DATE NOT NULL,
    week INTEGER NOT NULL,
    users BIGINT NOT NULL,
    retained BIGINT NOT NULL,
    PRIMARY KEY (cohort_week, week)
)""",
    """
CREATE TABLE engagement_months (
    month DATE NOT NULL,
    active BIGINT NOT NULL,
    active_before BIGINT NOT NULL,
    churned BIGINT NOT NULL,
    PRIMARY KEY (month)
)""",
    """
CREATE VIEW engagement_daily AS
SELECT day, dau, wau, mau, new_users, returned, dau - new_users AS returning_users, counted_at
FROM engagement_days""",
    """
CREATE VIEW engagement_retention AS
SELECT cohort_week, week, users, retained FROM engagement_cohorts""",
    """
CREATE VIEW engagement_churn AS
SELECT month, active, churned,
    CASE WHEN active_before > 0
        THEN floor(churned::float8 / active_before::float8 * 100 * 100 + 0.5) / 100
        ELSE 0::float8 END AS rate,
    active_before
FROM engagement_months""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
