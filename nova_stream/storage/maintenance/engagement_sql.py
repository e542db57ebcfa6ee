"""The statements of summarizeEngagement. One transaction at a time works with these tables (the
lock ``locks.ENGAGEMENT``); only cleanupOldActivity adds to ``user_activity_cleaned`` meanwhile.

A day is one of UTC. Days of $1 and later are not over yet.
"""

from __future__ import annotations

LOCK = "SELECT pg_advisory_xact_lock($1)"

#: userIds that are nobody's, or longer than an index takes, are no users.
COUNTED_USER = "{0} <> 'system' AND octet_length({0}) <= 1024"

_REGISTERED = f"""
    SELECT DISTINCT user_id FROM user_profiles
    WHERE deleted_at IS NULL AND {COUNTED_USER.format("user_id")}"""  # noqa: S608 - our own constants

#: Brings ``user_activity_daily`` up to date with the activities of one snapshot. $1 the day that is
#: not over, $2 the first day that cleanupOldActivity leaves alone: from it on a day loses whoever
#: has no activity there any more, before it days only gain. $3: what was noted of days before it
#: for somebody who is still not registered is given up.
#: Gives how many days and users have activities, and how many rows came and went.
SUMMARIZE = f"""
WITH registered AS MATERIALIZED ({_REGISTERED}
), seen AS MATERIALIZED (
    SELECT day, user_id, bool_or(cleaned) OR day < $2 AS settled
    FROM (
        SELECT (a.timestamp AT TIME ZONE 'UTC')::date AS day, a.user_id, false AS cleaned
        FROM agent_activity_feed a
        WHERE a.timestamp < $1::date::timestamp AT TIME ZONE 'UTC'
        UNION ALL
        SELECT c.day, c.user_id, true FROM user_activity_cleaned c WHERE c.day < $1
    ) s JOIN registered USING (user_id)
    GROUP BY day, user_id
), known AS MATERIALIZED (
    SELECT d.ctid AS place, d.day, d.settled, r.user_id IS NULL AS unregistered,
        s.user_id IS NOT NULL AS seen
    FROM user_activity_daily d
    LEFT JOIN registered r USING (user_id) LEFT JOIN seen s USING (day, user_id)
), gone AS (
    DELETE FROM user_activity_daily d USING known k
    WHERE d.ctid = k.place
        AND (k.unregistered OR NOT k.settled AND NOT k.seen AND k.day >= $2)
    RETURNING 1
), settled AS (
    UPDATE user_activity_daily d SET settled = true FROM known k
    WHERE d.ctid = k.place AND k.day < $2 AND NOT (k.settled OR k.seen OR k.unregistered)
), put AS (
    INSERT INTO user_activity_daily AS d (day, user_id, settled)
    SELECT day, user_id, settled FROM seen ORDER BY day, user_id
    ON CONFLICT (day, user_id) DO UPDATE SET settled = true
    WHERE excluded.settled AND NOT d.settled
    RETURNING old.day IS NULL AS added
), noted AS (
    DELETE FROM user_activity_cleaned c
    WHERE c.day < $1
        AND (c.day < $3 OR EXISTS (SELECT FROM registered r WHERE r.user_id = c.user_id))
), erased AS (
    DELETE FROM user_activity_archive x
    WHERE NOT EXISTS (SELECT FROM registered r WHERE r.user_id = x.user_id)
)
SELECT count(DISTINCT day) AS days, count(DISTINCT user_id) AS users,
    (SELECT count(*) FROM put WHERE added) AS added, (SELECT count(*) FROM gone) AS removed
FROM seen
"""  # noqa: S608 - made from our own constants

#: Takes days before $1 into the archive, for the run $2; of each user the first day stays, which
#: tells since when they are one. Gives how many.
RETIRE = """
WITH first AS MATERIALIZED (
    SELECT user_id, min(day) AS day FROM user_activity_daily GROUP BY user_id
), gone AS (
    DELETE FROM user_activity_daily d USING first f
    WHERE f.user_id = d.user_id AND d.day > f.day AND d.day < $1
        AND NOT EXISTS (
            SELECT FROM user_activity_archive x
            WHERE (x.user_id, x.day) = (d.user_id, d.day) AND x.kept_until > now())
    RETURNING d.day, d.user_id
), archived AS (
    INSERT INTO user_activity_archive (run_id, day, user_id, archived_at)
    SELECT $2, day, user_id, now() FROM gone
    ON CONFLICT (run_id, day, user_id) DO UPDATE SET archived_at = now(), kept_until = NULL
), floor AS (
    INSERT INTO engagement_floors AS f (run_id, floor)
    SELECT $2, $1 FROM gone LIMIT 1
    ON CONFLICT (run_id) DO UPDATE SET floor = greatest(f.floor, excluded.floor)
)
SELECT count(*) FROM gone
"""

#: Forgets what was taken more than $1 days ago; the highest floor of all stays.
FORGET = """
DELETE FROM user_activity_archive
WHERE archived_at < now() - make_interval(days => $1)
    AND (kept_until IS NULL OR kept_until < now())
"""
FORGET_FLOORS = """
DELETE FROM engagement_floors f
WHERE NOT EXISTS (SELECT FROM user_activity_archive x WHERE x.run_id = f.run_id)
    AND EXISTS (
        SELECT FROM engagement_floors g
        WHERE NOT EXISTS (SELECT FROM user_activity_archive x WHERE x.run_id = g.run_id)
            AND (g.floor, g.run_id) > (f.floor, f.run_id))
"""

HAS_RETIRED = "SELECT EXISTS (SELECT FROM user_activity_archive WHERE run_id = $1)"

#: Puts back what the run $1 took of those who are still registered, and leaves it alone for $2
#: days; gives how many came back.
RESTORE = "SELECT restore_user_activity($1, $2)"

_FLOOR = "(SELECT max(floor) FROM engagement_floors)"

EMPTY = (
    "DELETE FROM engagement_days",
    "DELETE FROM engagement_cohorts",
    "DELETE FROM engagement_months",
)

#: The figures of every day before $1, counted at $2. A visit makes its user active on that day, and
#: a weekly and monthly active one until the next visit, or for 7 and 30 days.
DAYS = f"""
WITH first AS (
    SELECT coalesce({_FLOOR} + 30, min(day)) AS day FROM user_activity_daily
), visits AS (
    SELECT day, lag(day) OVER w AS before, lead(day) OVER w AS after
    FROM user_activity_daily WHERE day < $1 WINDOW w AS (PARTITION BY user_id ORDER BY day)
), shown AS (
    SELECT * FROM visits WHERE day > (SELECT day FROM first) - 30
), moves AS (
    SELECT day, count(*) AS dau, count(*) AS wau, count(*) AS mau,
        count(*) FILTER (WHERE before IS NULL) AS new_users,
        count(*) FILTER (WHERE before < day - 30) AS returned
    FROM shown GROUP BY day
    UNION ALL
    SELECT least(after, day + 7), 0, -count(*), 0, 0, 0 FROM shown GROUP BY 1
    UNION ALL
    SELECT least(after, day + 30), 0, 0, -count(*), 0, 0 FROM shown GROUP BY 1
    UNION ALL
    SELECT generate_series((SELECT min(day) FROM shown), $1::date - 1, interval '1 day')::date,
        0, 0, 0, 0, 0
), days AS (
    SELECT day, sum(dau) AS dau, sum(sum(wau)) OVER w AS wau, sum(sum(mau)) OVER w AS mau,
        sum(new_users) AS new_users, sum(returned) AS returned
    FROM moves GROUP BY day WINDOW w AS (ORDER BY day)
)
INSERT INTO engagement_days (day, dau, wau, mau, new_users, returned, counted_at)
SELECT day, dau, wau, mau, new_users, returned, $2 FROM days
WHERE day < $1 AND day >= (SELECT day FROM first)
"""  # noqa: S608 - made from our own constants

#: Of those who were new in a week, how many were active in each week since that is over by $1.
COHORTS = f"""
WITH visits AS (
    SELECT DISTINCT user_id, date_trunc('week', day)::date AS week FROM user_activity_daily
    WHERE day < date_trunc('week', $1::date)::date
), weeks AS (
    SELECT min(week) OVER (PARTITION BY user_id) AS cohort, week FROM visits
), kept AS (
    SELECT cohort, (week - cohort) / 7 AS week, count(*) AS users FROM weeks
    WHERE cohort >= coalesce({_FLOOR}, cohort) GROUP BY 1, 2
)
INSERT INTO engagement_cohorts (cohort_week, week, users, retained)
SELECT c.cohort, n, c.users, coalesce(k.users, 0)
FROM kept c
CROSS JOIN LATERAL generate_series(0, (date_trunc('week', $1::date)::date - c.cohort) / 7 - 1) n
LEFT JOIN kept k ON k.cohort = c.cohort AND k.week = n
WHERE c.week = 0
"""  # noqa: S608 - made from our own constants

#: The months that are over by $1: who was active, who was in the month before, and who no more.
MONTHS = f"""
WITH visits AS (
    SELECT DISTINCT user_id, date_trunc('month', day)::date AS month FROM user_activity_daily
    WHERE day < date_trunc('month', $1::date)::date
), users AS (
    SELECT month, lead(month) OVER (PARTITION BY user_id ORDER BY month) AS after FROM visits
), months AS (
    SELECT month, count(*) AS active,
        count(*) FILTER (WHERE after IS DISTINCT FROM (month + interval '1 month')::date) AS lost
    FROM users GROUP BY month
), first AS (
    SELECT coalesce(
        (date_trunc('month', {_FLOOR} - 1) + interval '2 months')::date, min(month)) AS month
    FROM months
)
INSERT INTO engagement_months (month, active, active_before, churned)
SELECT c.month, coalesce(m.active, 0), coalesce(b.active, 0), coalesce(b.lost, 0)
FROM (
    SELECT generate_series(
        (SELECT month FROM first), date_trunc('month', $1::date) - interval '1 day',
        interval '1 month')::date AS month
) c
LEFT JOIN months m ON m.month = c.month
LEFT JOIN months b ON b.month = (c.month - interval '1 month')::date
"""  # noqa: S608 - made from our own constants
