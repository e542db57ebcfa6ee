-- What the migrations make: for readers, nothing runs it.
-- Written by: python -m tests.check_migrations --write

CREATE FUNCTION audit_trail_only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.until < now() - INTERVAL '365 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_trail only grows: no line changes, none goes before it is a year old'
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION job_slots(minutes integer[], hours integer[], days integer[], months integer[], weekdays integer[], either_day boolean, after timestamptz, until timestamptz) RETURNS SETOF timestamptz
    LANGUAGE sql IMMUTABLE ROWS 100 PARALLEL SAFE
    AS $$
    SELECT s.slot FROM (
        SELECT (d.day + make_interval(hours => h.hour, mins => m.minute)) AT TIME ZONE 'UTC' AS slot
        FROM generate_series(
            date_trunc('day', after AT TIME ZONE 'UTC'), until AT TIME ZONE 'UTC', interval '1 day'
        ) AS d (day)
        CROSS JOIN unnest(hours) AS h (hour) CROSS JOIN unnest(minutes) AS m (minute)
        WHERE extract(month FROM d.day)::int = ANY (months)
            AND CASE WHEN either_day
                THEN extract(day FROM d.day)::int = ANY (days)
                    OR extract(dow FROM d.day)::int = ANY (weekdays)
                ELSE extract(day FROM d.day)::int = ANY (days)
                    AND extract(dow FROM d.day)::int = ANY (weekdays)
                END
    ) s
    WHERE s.slot > after AND s.slot <= until
$$;

CREATE FUNCTION missing_job_slots(since timestamptz, until timestamptz) RETURNS TABLE(job text, slot timestamptz, scheduled_at timestamptz)
    LANGUAGE sql STABLE
    AS $$
    SELECT j.job, s.slot, s.slot + make_interval(secs => j.start_offset)
    FROM job_settings j
    CROSS JOIN LATERAL job_slots(
        j.minutes, j.hours, j.days, j.months, j.weekdays, j.either_day,
        greatest(j.expected_from, since),
        least(until - make_interval(secs => j.start_offset + j.late_after), j.paused_at)
    ) AS s (slot)
    WHERE j.active
        AND NOT EXISTS (SELECT FROM job_runs r WHERE r.job = j.job AND r.slot = s.slot)
$$;

CREATE FUNCTION older_workers_wait() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the database was migrated for a newer nova-stream: '
        'end this process and start the new version'
        USING ERRCODE = 'feature_not_supported';
END
$$;

CREATE TABLE activity_archive (
    id text NOT NULL,
    run_id bigint NOT NULL,
    archived_at timestamptz NOT NULL,
    restored_at timestamptz,
    kept_until timestamptz,
    "timestamp" timestamptz,
    version bigint NOT NULL,
    version_minor integer NOT NULL,
    changed_at timestamptz NOT NULL,
    src_partition integer NOT NULL,
    src_offset bigint NOT NULL,
    doc jsonb,
    version_generation integer DEFAULT 0 NOT NULL
);

CREATE TABLE agent_activity_feed (
    id text NOT NULL,
    "timestamp" timestamptz,
    user_id text GENERATED ALWAYS AS ((doc ->> 'userId'::text)),
    agent_name text GENERATED ALWAYS AS ((doc ->> 'agentName'::text)),
    event_type text GENERATED ALWAYS AS ((doc ->> 'eventType'::text)),
    task_id text GENERATED ALWAYS AS ((doc ->> 'taskId'::text)),
    details text GENERATED ALWAYS AS ((doc ->> 'details'::text)),
    version bigint NOT NULL,
    version_minor integer NOT NULL,
    changed_at timestamptz NOT NULL,
    deleted_at timestamptz,
    src_partition integer NOT NULL,
    src_offset bigint NOT NULL,
    doc jsonb,
    version_generation integer DEFAULT 0 NOT NULL
);

CREATE FUNCTION restore_activities(run bigint, batch integer, days integer) RETURNS TABLE(restored bigint, seen bigint)
    LANGUAGE sql SECURITY DEFINER
    BEGIN ATOMIC
 WITH chosen AS MATERIALIZED (
          SELECT c.id
            FROM activity_archive c
           WHERE ((c.run_id = restore_activities.run) AND (c.restored_at IS NULL))
           ORDER BY c.id
          LIMIT restore_activities.batch
         ), locked AS MATERIALIZED (
          SELECT x.id
            FROM activity_archive x
           WHERE ((x.run_id = restore_activities.run) AND (x.restored_at IS NULL) AND (x.id = ANY (ARRAY( SELECT chosen.id
                    FROM chosen))))
           ORDER BY (x.id COLLATE "C")
          FOR UPDATE OF x
         ), marked AS (
          UPDATE activity_archive x SET restored_at = now(), kept_until = (now() + make_interval(days => restore_activities.days))
            FROM locked
           WHERE ((x.run_id = restore_activities.run) AND (x.id = locked.id))
           RETURNING x.id,
             x."timestamp",
             x.version_generation,
             x.version,
             x.version_minor,
             x.changed_at,
             x.src_partition,
             x.src_offset,
             x.doc
         ), back AS (
          INSERT INTO agent_activity_feed AS t (id, "timestamp", version_generation, version, version_minor, changed_at, src_partition, src_offset, doc)  SELECT marked.id,
                     marked."timestamp",
                     marked.version_generation,
                     marked.version,
                     marked.version_minor,
                     marked.changed_at,
                     marked.src_partition,
                     marked.src_offset,
                     marked.doc
                    FROM marked
                   ORDER BY (marked.id COLLATE "C") ON CONFLICT(id) DO UPDATE SET deleted_at = NULL::timestamptz, "timestamp" = excluded."timestamp", version_generation = excluded.version_generation, version = excluded.version, version_minor = excluded.version_minor, changed_at = excluded.changed_at, src_partition = excluded.src_partition, src_offset = excluded.src_offset, doc = excluded.doc
           WHERE (ROW(excluded.version_generation, excluded.version, excluded.version_minor) > ROW(t.version_generation, t.version, t.version_minor))
           RETURNING t.id
         )
  SELECT ( SELECT count(*) AS count
            FROM back) AS count,
     ( SELECT count(*) AS count
            FROM locked) AS count;
END;

CREATE TABLE engagement_floors (
    run_id bigint NOT NULL,
    floor date NOT NULL
);

CREATE TABLE user_activity_archive (
    run_id bigint NOT NULL,
    day date NOT NULL,
    user_id text NOT NULL,
    archived_at timestamptz NOT NULL,
    kept_until timestamptz
);

CREATE TABLE user_activity_daily (
    day date NOT NULL,
    user_id text NOT NULL,
    settled boolean DEFAULT false NOT NULL
);

CREATE TABLE user_profiles (
    id text NOT NULL,
    created_at timestamptz,
    last_active_at timestamptz,
    user_id text GENERATED ALWAYS AS ((doc ->> 'userId'::text)),
    email text GENERATED ALWAYS AS ((doc ->> 'email'::text)),
    tier text GENERATED ALWAYS AS ((doc ->> 'tier'::text)),
    global_wisdom_opt_in boolean GENERATED ALWAYS AS (((doc ->> 'globalWisdomOptIn'::text))::boolean),
    version bigint NOT NULL,
    version_minor integer NOT NULL,
    changed_at timestamptz NOT NULL,
    deleted_at timestamptz,
    src_partition integer NOT NULL,
    src_offset bigint NOT NULL,
    doc jsonb,
    version_generation integer DEFAULT 0 NOT NULL
);

CREATE FUNCTION restore_user_activity(run bigint, days integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    BEGIN ATOMIC
 WITH back AS (
          UPDATE user_activity_archive x SET kept_until = (now() + make_interval(days => restore_user_activity.days))
           WHERE ((x.run_id = restore_user_activity.run) AND (x.kept_until IS NULL) AND (x.user_id IN ( SELECT p.user_id
                    FROM user_profiles p
                   WHERE ((p.deleted_at IS NULL) AND (p.user_id <> 'system'::text) AND (octet_length(p.user_id) <= 1024)))))
           RETURNING x.day,
             x.user_id
         ), put AS (
          INSERT INTO user_activity_daily (day, user_id, settled)  SELECT b.day,
                     b.user_id,
                     true
                    FROM back b ON CONFLICT DO NOTHING
           RETURNING 1 AS "?column?"
         ), floor AS (
          DELETE FROM engagement_floors f
           WHERE (f.run_id = restore_user_activity.run)
         )
  SELECT count(*) AS count
    FROM put;
END;

CREATE TABLE agent_stats_cache (
    agent_id text NOT NULL,
    agent_name text NOT NULL,
    role text,
    total_tasks bigint NOT NULL,
    completed_tasks bigint NOT NULL,
    failed_tasks bigint NOT NULL,
    success_rate double precision NOT NULL,
    avg_duration double precision NOT NULL,
    last_active timestamptz,
    current_status text NOT NULL,
    cached_at timestamptz NOT NULL,
    running_tasks bigint DEFAULT 0 NOT NULL,
    executions bigint DEFAULT 0 NOT NULL,
    duration_sum numeric DEFAULT 0 NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');

CREATE TABLE executions (
    id text NOT NULL,
    task_id text,
    agent text,
    duration numeric,
    "timestamp" timestamptz,
    model text GENERATED ALWAYS AS ((doc ->> 'model'::text)),
    prompt text GENERATED ALWAYS AS ((doc ->> 'prompt'::text)),
    response text GENERATED ALWAYS AS ((doc ->> 'response'::text)),
    gates_passed boolean GENERATED ALWAYS AS (((doc ->> 'gatesPassed'::text))::boolean),
    error text GENERATED ALWAYS AS ((doc ->> 'error'::text)),
    version bigint NOT NULL,
    version_minor integer NOT NULL,
    changed_at timestamptz NOT NULL,
    deleted_at timestamptz,
    src_partition integer NOT NULL,
    src_offset bigint NOT NULL,
    doc jsonb,
    archived_at timestamptz,
    archive_object bigint,
    version_generation integer DEFAULT 0 NOT NULL
);

CREATE TABLE tasks (
    id text NOT NULL,
    build_id text,
    agent text,
    status text,
    created_at timestamptz,
    task_id text GENERATED ALWAYS AS ((doc ->> 'taskId'::text)),
    title text GENERATED ALWAYS AS ((doc ->> 'title'::text)),
    dependencies jsonb GENERATED ALWAYS AS ((doc -> 'dependencies'::text)),
    phase numeric GENERATED ALWAYS AS (((doc ->> 'phase'::text))::numeric),
    attempts numeric GENERATED ALWAYS AS (((doc ->> 'attempts'::text))::numeric),
    output text GENERATED ALWAYS AS ((doc ->> 'output'::text)),
    error text GENERATED ALWAYS AS ((doc ->> 'error'::text)),
    version bigint NOT NULL,
    version_minor integer NOT NULL,
    changed_at timestamptz NOT NULL,
    deleted_at timestamptz,
    src_partition integer NOT NULL,
    src_offset bigint NOT NULL,
    doc jsonb,
    version_generation integer DEFAULT 0 NOT NULL,
    done_at timestamptz,
    failed_at timestamptz
)
WITH (fillfactor='80');

CREATE VIEW finished_tasks AS
 SELECT tasks.id,
    tasks.build_id,
    tasks.agent AS agent_name,
    'done'::text AS status,
    tasks.done_at AS finished_at
   FROM tasks
  WHERE (tasks.done_at IS NOT NULL)
UNION ALL
 SELECT tasks.id,
    tasks.build_id,
    tasks.agent AS agent_name,
    'failed'::text AS status,
    tasks.failed_at AS finished_at
   FROM tasks
  WHERE (tasks.failed_at IS NOT NULL);

CREATE VIEW timed_executions AS
 SELECT id,
    agent AS agent_name,
    "timestamp" AS executed_at,
    duration
   FROM executions
  WHERE ((agent IS NOT NULL) AND ("timestamp" IS NOT NULL));

CREATE VIEW agent_stats_hourly AS
 SELECT agent_name,
    hour,
    completed AS completed_tasks,
    failed AS failed_tasks,
        CASE
            WHEN ((completed + failed) > 0) THEN (floor((((((completed)::double precision / ((completed + failed))::double precision) * (100)::double precision) * (100)::double precision) + (0.5)::double precision)) / (100)::double precision)
            ELSE NULL::double precision
        END AS success_rate,
    executions,
        CASE
            WHEN (duration_sum > 0.1) THEN floor((((duration_sum)::double precision / (timed)::double precision) + (0.5)::double precision))
            WHEN (timed > 0) THEN (0)::double precision
            ELSE NULL::double precision
        END AS avg_duration,
    percentiles[1] AS p50_duration,
    percentiles[2] AS p95_duration,
    percentiles[3] AS p99_duration
   FROM ( SELECT agent_name,
            hour,
            COALESCE(t.completed, (0)::bigint) AS completed,
            COALESCE(t.failed, (0)::bigint) AS failed,
            COALESCE(e.executions, (0)::bigint) AS executions,
            e.timed,
            e.duration_sum,
            e.percentiles
           FROM (( SELECT finished_tasks.agent_name,
                    date_trunc('hour'::text, finished_tasks.finished_at, 'UTC'::text) AS hour,
                    count(*) FILTER (WHERE (finished_tasks.status = 'done'::text)) AS completed,
                    count(*) FILTER (WHERE (finished_tasks.status = 'failed'::text)) AS failed
                   FROM finished_tasks
                  GROUP BY finished_tasks.agent_name, (date_trunc('hour'::text, finished_tasks.finished_at, 'UTC'::text))) t
             FULL JOIN ( SELECT timed_executions.agent_name,
                    date_trunc('hour'::text, timed_executions.executed_at, 'UTC'::text) AS hour,
                    count(*) AS executions,
                    count(timed_executions.duration) AS timed,
                    sum(timed_executions.duration) AS duration_sum,
                    percentile_disc((ARRAY[0.5, 0.95, 0.99])::double precision[]) WITHIN GROUP (ORDER BY timed_executions.duration) AS percentiles
                   FROM timed_executions
                  GROUP BY timed_executions.agent_name, (date_trunc('hour'::text, timed_executions.executed_at, 'UTC'::text))) e USING (agent_name, hour))) h;

CREATE TABLE agent_stats_partials (
    agent text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    total_tasks bigint DEFAULT 0 NOT NULL,
    completed_tasks bigint DEFAULT 0 NOT NULL,
    failed_tasks bigint DEFAULT 0 NOT NULL,
    running_tasks bigint DEFAULT 0 NOT NULL,
    active_tasks bigint DEFAULT 0 NOT NULL,
    executions bigint DEFAULT 0 NOT NULL,
    duration_sum numeric DEFAULT 0 NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');

CREATE TABLE agents (
    id text NOT NULL,
    name text,
    created_at timestamptz,
    role text GENERATED ALWAYS AS ((doc ->> 'role'::text)),
    domain text GENERATED ALWAYS AS ((doc ->> 'domain'::text)),
    model text GENERATED ALWAYS AS ((doc ->> 'model'::text)),
    version bigint NOT NULL,
    version_minor integer NOT NULL,
    changed_at timestamptz NOT NULL,
    deleted_at timestamptz,
    src_partition integer NOT NULL,
    src_offset bigint NOT NULL,
    doc jsonb,
    version_generation integer DEFAULT 0 NOT NULL
);

CREATE VIEW agent_stats_recount AS
 SELECT a.id AS agent_id,
    a.name AS agent_name,
    a.role,
    COALESCE(t.total, (0)::bigint) AS total_tasks,
    COALESCE(t.completed, (0)::bigint) AS completed_tasks,
    COALESCE(t.failed, (0)::bigint) AS failed_tasks,
        CASE
            WHEN (COALESCE(t.total, (0)::bigint) > 0) THEN (floor((((((t.completed)::double precision / (t.total)::double precision) * (100)::double precision) * (100)::double precision) + (0.5)::double precision)) / (100)::double precision)
            ELSE (0)::double precision
        END AS success_rate,
        CASE
            WHEN (e.duration_sum > 0.1) THEN floor((((e.duration_sum)::double precision / (e.executions)::double precision) + (0.5)::double precision))
            ELSE (0)::double precision
        END AS avg_duration,
    COALESCE(e.newest, a.created_at) AS last_active,
        CASE
            WHEN (COALESCE(t.running, (0)::bigint) > 0) THEN 'active'::text
            ELSE 'idle'::text
        END AS current_status,
    COALESCE(t.running, (0)::bigint) AS running_tasks,
    COALESCE(e.executions, (0)::bigint) AS executions,
    COALESCE(e.duration_sum, (0)::numeric) AS duration_sum
   FROM ((agents a
     LEFT JOIN ( SELECT tasks.agent,
            count(*) AS total,
            count(*) FILTER (WHERE (tasks.status = 'done'::text)) AS completed,
            count(*) FILTER (WHERE (tasks.status = 'failed'::text)) AS failed,
            count(*) FILTER (WHERE (tasks.status = 'running'::text)) AS running
           FROM tasks
          WHERE (tasks.deleted_at IS NULL)
          GROUP BY tasks.agent) t ON ((t.agent = a.name)))
     LEFT JOIN ( SELECT executions.agent,
            count(executions.duration) AS executions,
            sum(executions.duration) AS duration_sum,
            max(executions."timestamp") AS newest
           FROM executions
          WHERE (executions.deleted_at IS NULL)
          GROUP BY executions.agent) e ON ((e.agent = a.name)))
  WHERE (a.deleted_at IS NULL);

CREATE TABLE alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE alert_deliveries (
    id bigint NOT NULL,
    alert_id bigint NOT NULL,
    event text NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    next_try_at timestamptz NOT NULL,
    sent_at timestamptz,
    error text,
    channel text DEFAULT 'webhook'::text NOT NULL,
    CONSTRAINT alert_deliveries_event_known CHECK ((event = ANY (ARRAY['begin'::text, 'end'::text])))
);

CREATE SEQUENCE alert_deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE alert_deliveries_id_seq OWNED BY alert_deliveries.id;

CREATE TABLE alerts (
    id bigint NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    message text NOT NULL,
    value double precision,
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text
);

CREATE SEQUENCE alerts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE alerts_id_seq OWNED BY alerts.id;

CREATE TABLE api_tokens (
    id bigint NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    replaced_at timestamptz,
    CONSTRAINT api_tokens_scopes_known CHECK (((scopes <@ ARRAY['metrics'::text, 'stats'::text, 'documents'::text, 'publish'::text, 'admin'::text, 'read'::text]) AND (cardinality(scopes) > 0)))
);

CREATE SEQUENCE api_tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE api_tokens_id_seq OWNED BY api_tokens.id;

CREATE TABLE archive_objects (
    id bigint NOT NULL,
    name text NOT NULL,
    day date NOT NULL,
    run_id bigint NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    rows bigint,
    bytes bigint,
    sha256 text,
    first_id text,
    last_id text,
    CONSTRAINT archive_objects_state_known CHECK ((state = ANY (ARRAY['writing'::text, 'written'::text, 'done'::text, 'expired'::text, 'deleted'::text])))
);

CREATE SEQUENCE archive_objects_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE archive_objects_id_seq OWNED BY archive_objects.id;

CREATE TABLE archive_restores (
    id text NOT NULL,
    object_id bigint NOT NULL,
    version bigint NOT NULL,
    version_minor integer NOT NULL,
    until timestamptz NOT NULL,
    version_generation integer,
    src_offset bigint
);

CREATE TABLE audit_trail (
    id bigint NOT NULL,
    at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    requests bigint NOT NULL,
    token text,
    address text,
    action text NOT NULL,
    object text,
    outcome text NOT NULL,
    refused boolean NOT NULL
);

CREATE SEQUENCE audit_trail_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE audit_trail_id_seq OWNED BY audit_trail.id;

CREATE TABLE build_stats_cache (
    id integer NOT NULL,
    total_builds bigint NOT NULL,
    completed_builds bigint NOT NULL,
    failed_builds bigint NOT NULL,
    running_builds bigint NOT NULL,
    success_rate double precision NOT NULL,
    avg_duration_ms double precision NOT NULL,
    last_build_time timestamptz,
    cached_at timestamptz NOT NULL,
    CONSTRAINT build_stats_cache_one_row CHECK ((id = 1))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');

CREATE TABLE build_stats_history (
    taken_at timestamptz NOT NULL,
    total_builds bigint NOT NULL,
    completed_builds bigint NOT NULL,
    failed_builds bigint NOT NULL,
    running_builds bigint NOT NULL,
    success_rate double precision NOT NULL,
    avg_duration_ms double precision NOT NULL,
    drift integer NOT NULL,
    run_id bigint NOT NULL
);

CREATE TABLE builds (
    id text NOT NULL,
    status text,
    started_at timestamptz,
    completed_at timestamptz,
    prd_id text GENERATED ALWAYS AS ((doc ->> 'prdId'::text)),
    prd_name text GENERATED ALWAYS AS ((doc ->> 'prdName'::text)),
    error text GENERATED ALWAYS AS ((doc ->> 'error'::text)),
    version bigint NOT NULL,
    version_minor integer NOT NULL,
    changed_at timestamptz NOT NULL,
    deleted_at timestamptz,
    src_partition integer NOT NULL,
    src_offset bigint NOT NULL,
    doc jsonb,
    version_generation integer DEFAULT 0 NOT NULL
);

CREATE VIEW finished_builds AS
 SELECT id,
    status,
    completed_at AS finished_at,
        CASE
            WHEN (status = 'completed'::text) THEN (EXTRACT(epoch FROM (completed_at - started_at)) * (1000)::numeric)
            ELSE NULL::numeric
        END AS duration_ms
   FROM builds
  WHERE ((status = ANY (ARRAY['completed'::text, 'failed'::text])) AND (completed_at IS NOT NULL));

CREATE VIEW build_stats_hourly AS
 SELECT hour,
    completed AS completed_builds,
    failed AS failed_builds,
        CASE
            WHEN ((completed + failed) > 0) THEN (floor((((((completed)::double precision / ((completed + failed))::double precision) * (100)::double precision) * (100)::double precision) + (0.5)::double precision)) / (100)::double precision)
            ELSE NULL::double precision
        END AS success_rate,
        CASE
            WHEN (timed > 0) THEN floor((((duration_sum_ms)::double precision / (timed)::double precision) + (0.5)::double precision))
            ELSE NULL::double precision
        END AS avg_duration_ms,
    percentiles[1] AS p50_duration_ms,
    percentiles[2] AS p95_duration_ms,
    percentiles[3] AS p99_duration_ms
   FROM ( SELECT date_trunc('hour'::text, finished_builds.finished_at, 'UTC'::text) AS hour,
            count(*) FILTER (WHERE (finished_builds.status = 'completed'::text)) AS completed,
            count(*) FILTER (WHERE (finished_builds.status = 'failed'::text)) AS failed,
            count(finished_builds.duration_ms) AS timed,
            sum(finished_builds.duration_ms) AS duration_sum_ms,
            percentile_disc((ARRAY[0.5, 0.95, 0.99])::double precision[]) WITHIN GROUP (ORDER BY finished_builds.duration_ms) AS percentiles
           FROM finished_builds
          GROUP BY (date_trunc('hour'::text, finished_builds.finished_at, 'UTC'::text))) h;

CREATE TABLE build_stats_partials (
    topic text NOT NULL,
    partition integer NOT NULL,
    total_builds bigint DEFAULT 0 NOT NULL,
    completed_builds bigint DEFAULT 0 NOT NULL,
    failed_builds bigint DEFAULT 0 NOT NULL,
    running_builds bigint DEFAULT 0 NOT NULL,
    timed_builds bigint DEFAULT 0 NOT NULL,
    duration_sum_ms numeric DEFAULT 0 NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');

CREATE VIEW build_stats_recount AS
 SELECT total AS total_builds,
    completed AS completed_builds,
    failed AS failed_builds,
    running AS running_builds,
        CASE
            WHEN (total > 0) THEN (floor((((((completed)::double precision / (total)::double precision) * (100)::double precision) * (100)::double precision) + (0.5)::double precision)) / (100)::double precision)
            ELSE (0)::double precision
        END AS success_rate,
        CASE
            WHEN (timed > 0) THEN floor((((duration_sum_ms)::double precision / (timed)::double precision) + (0.5)::double precision))
            ELSE (0)::double precision
        END AS avg_duration_ms,
    newest AS last_build_time
   FROM ( SELECT count(*) AS total,
            count(*) FILTER (WHERE (builds.status = 'completed'::text)) AS completed,
            count(*) FILTER (WHERE (builds.status = 'failed'::text)) AS failed,
            count(*) FILTER (WHERE (builds.status = 'running'::text)) AS running,
            count(*) FILTER (WHERE ((builds.status = 'completed'::text) AND (builds.started_at IS NOT NULL) AND (builds.completed_at IS NOT NULL))) AS timed,
            sum((EXTRACT(epoch FROM (builds.completed_at - builds.started_at)) * (1000)::numeric)) FILTER (WHERE (builds.status = 'completed'::text)) AS duration_sum_ms,
            max(builds.completed_at) AS newest
           FROM builds
          WHERE (builds.deleted_at IS NULL)) b;

CREATE TABLE dead_letters (
    id bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL,
    record_time timestamptz,
    reason text NOT NULL,
    message text NOT NULL,
    failed_at timestamptz DEFAULT now() NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    CONSTRAINT dead_letters_state_known CHECK ((state = ANY (ARRAY['open'::text, 'retried'::text, 'discarded'::text])))
);

CREATE SEQUENCE dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE dead_letters_id_seq OWNED BY dead_letters.id;

CREATE TABLE engagement_months (
    month date NOT NULL,
    active bigint NOT NULL,
    active_before bigint NOT NULL,
    churned bigint NOT NULL
);

CREATE VIEW engagement_churn AS
 SELECT month,
    active,
    churned,
        CASE
            WHEN (active_before > 0) THEN (floor((((((churned)::double precision / (active_before)::double precision) * (100)::double precision) * (100)::double precision) + (0.5)::double precision)) / (100)::double precision)
            ELSE (0)::double precision
        END AS rate,
    active_before
   FROM engagement_months;

CREATE TABLE engagement_cohorts (
    cohort_week date NOT NULL,
    week integer NOT NULL,
    users bigint NOT NULL,
    retained bigint NOT NULL
);

CREATE TABLE engagement_days (
    day date NOT NULL,
    dau bigint NOT NULL,
    wau bigint NOT NULL,
    mau bigint NOT NULL,
    new_users bigint NOT NULL,
    returned bigint NOT NULL,
    counted_at timestamptz NOT NULL
);

CREATE VIEW engagement_daily AS
 SELECT day,
    dau,
    wau,
    mau,
    new_users,
    returned,
    (dau - new_users) AS returning_users,
    counted_at
   FROM engagement_days;

CREATE VIEW engagement_retention AS
 SELECT cohort_week,
    week,
    users,
    retained
   FROM engagement_cohorts;

CREATE TABLE execution_days (
    agent text NOT NULL,
    day timestamptz NOT NULL,
    executions bigint NOT NULL,
    timed bigint NOT NULL,
    duration_sum numeric NOT NULL,
    histogram numeric NOT NULL
);

CREATE TABLE execution_days_until (
    agent text NOT NULL,
    until timestamptz NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE execution_hours (
    agent text NOT NULL,
    hour timestamptz NOT NULL,
    executions bigint NOT NULL,
    timed bigint NOT NULL,
    duration_sum numeric NOT NULL,
    histogram numeric NOT NULL
);

CREATE TABLE inactive_users (
    id text NOT NULL,
    user_id text,
    since timestamptz NOT NULL,
    marked_at timestamptz NOT NULL,
    run_id bigint NOT NULL
);

CREATE TABLE inactivity_events (
    id bigint NOT NULL,
    ce_id text NOT NULL,
    event text NOT NULL,
    profile_id text NOT NULL,
    user_id text,
    last_active_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    run_id bigint NOT NULL,
    sent_at timestamptz,
    CONSTRAINT inactivity_events_event_known CHECK ((event = ANY (ARRAY['inactive'::text, 'active'::text])))
);

CREATE SEQUENCE inactivity_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE inactivity_events_id_seq OWNED BY inactivity_events.id;

CREATE TABLE job_runs (
    id bigint NOT NULL,
    job text NOT NULL,
    slot timestamptz,
    kind text NOT NULL,
    outcome text,
    scheduled_at timestamptz NOT NULL,
    late boolean DEFAULT false NOT NULL,
    at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    duration_ms double precision,
    worker text,
    attempt integer DEFAULT 0 NOT NULL,
    fence bigint DEFAULT 1 NOT NULL,
    lease_until timestamptz,
    rows bigint,
    counts json,
    result json,
    error text,
    query_ms double precision,
    CONSTRAINT job_runs_kind_known CHECK ((kind = ANY (ARRAY['slot'::text, 'manual'::text, 'dry_run'::text]))),
    CONSTRAINT job_runs_outcome_known CHECK ((outcome = ANY (ARRAY['ok'::text, 'failed'::text, 'timed_out'::text, 'late'::text, 'skipped_overlap'::text, 'skipped_paused'::text, 'missed'::text, 'manual'::text, 'dry_run'::text]))),
    CONSTRAINT job_runs_running_has_lease CHECK (((outcome IS NOT NULL) OR (lease_until IS NOT NULL))),
    CONSTRAINT job_runs_slot_has_kind CHECK (((slot IS NOT NULL) = (kind = 'slot'::text)))
);

CREATE SEQUENCE job_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE job_runs_id_seq OWNED BY job_runs.id;

CREATE TABLE job_settings (
    job text NOT NULL,
    schedule text NOT NULL,
    minutes integer[] NOT NULL,
    hours integer[] NOT NULL,
    days integer[] NOT NULL,
    months integer[] NOT NULL,
    weekdays integer[] NOT NULL,
    either_day boolean NOT NULL,
    start_offset double precision NOT NULL,
    late_after double precision NOT NULL,
    missed text NOT NULL,
    timeout double precision NOT NULL,
    attempts integer NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    expected_from timestamptz NOT NULL,
    accounted_to timestamptz NOT NULL,
    paused_at timestamptz,
    paused_reason text,
    CONSTRAINT job_settings_missed_known CHECK ((missed = ANY (ARRAY['latest'::text, 'skip'::text])))
);

CREATE VIEW late_jobs AS
 SELECT missing_job_slots.job,
    missing_job_slots.slot,
    missing_job_slots.scheduled_at,
    'no run'::text AS reason,
    (now() - missing_job_slots.scheduled_at) AS overdue,
    NULL::bigint AS run,
    NULL::text AS worker
   FROM missing_job_slots('-infinity'::timestamptz, now()) missing_job_slots(job, slot, scheduled_at)
UNION ALL
 SELECT job_runs.job,
    job_runs.slot,
    job_runs.scheduled_at,
    'lease ran out'::text AS reason,
    (now() - job_runs.lease_until) AS overdue,
    job_runs.id AS run,
    job_runs.worker
   FROM job_runs
  WHERE ((job_runs.outcome IS NULL) AND (job_runs.lease_until < now()));

CREATE TABLE source_cursors (
    source text NOT NULL,
    address text NOT NULL,
    phase text DEFAULT 'new'::text NOT NULL,
    snapshot bigint,
    snapshot_table text,
    snapshot_page text,
    snapshot_documents bigint DEFAULT 0 NOT NULL,
    cursor bigint,
    caught_up_at timestamptz,
    updated_at timestamptz DEFAULT now() NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    holder text,
    lease_until timestamptz,
    CONSTRAINT source_cursors_phase_known CHECK ((phase = ANY (ARRAY['new'::text, 'snapshot'::text, 'sweep'::text, 'deltas'::text])))
)
WITH (fillfactor='50');

CREATE TABLE source_documents (
    source text NOT NULL,
    entity text NOT NULL,
    id text NOT NULL,
    seen bigint NOT NULL
);

CREATE TABLE stream_samples (
    at timestamptz NOT NULL,
    worker text NOT NULL,
    seconds double precision NOT NULL,
    lag double precision,
    lag_seconds double precision NOT NULL,
    lag_max bigint,
    applied bigint NOT NULL,
    flushes bigint NOT NULL,
    freshness_ms_sum double precision NOT NULL,
    freshness_ms_max double precision,
    freshness numeric NOT NULL
);

CREATE VIEW stream_history AS
 SELECT date_trunc('minute'::text, at, 'UTC'::text) AS minute,
    sum(seconds) AS seconds,
    (sum((lag * lag_seconds)) / NULLIF(sum(lag_seconds), (0)::double precision)) AS lag_records,
    max(lag_max) AS lag_records_max,
    (sum(applied))::bigint AS applied_records,
    ((sum(applied))::double precision / NULLIF(sum(seconds), (0)::double precision)) AS applied_records_per_second,
    (sum(freshness_ms_sum) / NULLIF((sum(flushes))::double precision, (0)::double precision)) AS freshness_ms_avg,
    max(freshness_ms_max) AS freshness_ms_max
   FROM ( SELECT stream_samples.at,
            max(stream_samples.seconds) AS seconds,
            avg(stream_samples.lag) AS lag,
            max(stream_samples.lag_seconds) AS lag_seconds,
            max(stream_samples.lag_max) AS lag_max,
            sum(stream_samples.applied) AS applied,
            sum(stream_samples.flushes) AS flushes,
            sum(stream_samples.freshness_ms_sum) AS freshness_ms_sum,
            max(stream_samples.freshness_ms_max) AS freshness_ms_max
           FROM stream_samples
          GROUP BY stream_samples.at) s
  GROUP BY (date_trunc('minute'::text, at, 'UTC'::text));

CREATE TABLE stream_positions (
    topic text NOT NULL,
    partition integer NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    next_offset bigint DEFAULT 0 NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    source_generation integer DEFAULT 0 NOT NULL,
    source_offsets bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    lsn_high bigint,
    truncation jsonb,
    records_end bigint,
    stopped_at timestamptz,
    stopped_why text
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');

CREATE TABLE stream_topics (
    topic text NOT NULL,
    topic_id text,
    generation integer DEFAULT 0 NOT NULL,
    version_kind text,
    partitions integer,
    enlarged_at timestamptz,
    source_generation integer DEFAULT 0 NOT NULL,
    truncation jsonb,
    flattened boolean DEFAULT false NOT NULL
);

CREATE TABLE user_activity_cleaned (
    id bigint NOT NULL,
    day date NOT NULL,
    user_id text NOT NULL
);

CREATE SEQUENCE user_activity_cleaned_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE user_activity_cleaned_id_seq OWNED BY user_activity_cleaned.id;

ALTER TABLE ONLY alert_deliveries ALTER COLUMN id SET DEFAULT nextval('alert_deliveries_id_seq'::regclass);

ALTER TABLE ONLY alerts ALTER COLUMN id SET DEFAULT nextval('alerts_id_seq'::regclass);

ALTER TABLE ONLY api_tokens ALTER COLUMN id SET DEFAULT nextval('api_tokens_id_seq'::regclass);

ALTER TABLE ONLY archive_objects ALTER COLUMN id SET DEFAULT nextval('archive_objects_id_seq'::regclass);

ALTER TABLE ONLY audit_trail ALTER COLUMN id SET DEFAULT nextval('audit_trail_id_seq'::regclass);

ALTER TABLE ONLY dead_letters ALTER COLUMN id SET DEFAULT nextval('dead_letters_id_seq'::regclass);

ALTER TABLE ONLY inactivity_events ALTER COLUMN id SET DEFAULT nextval('inactivity_events_id_seq'::regclass);

ALTER TABLE ONLY job_runs ALTER COLUMN id SET DEFAULT nextval('job_runs_id_seq'::regclass);

ALTER TABLE ONLY user_activity_cleaned ALTER COLUMN id SET DEFAULT nextval('user_activity_cleaned_id_seq'::regclass);

ALTER TABLE ONLY activity_archive
    ADD CONSTRAINT activity_archive_pkey PRIMARY KEY (run_id, id);

ALTER TABLE ONLY agent_activity_feed
    ADD CONSTRAINT agent_activity_feed_pkey PRIMARY KEY (id);

ALTER TABLE ONLY agent_stats_cache
    ADD CONSTRAINT agent_stats_cache_pkey PRIMARY KEY (agent_id);

ALTER TABLE ONLY agent_stats_partials
    ADD CONSTRAINT agent_stats_partials_pkey PRIMARY KEY (agent, topic, partition);

ALTER TABLE ONLY agents
    ADD CONSTRAINT agents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY alert_deliveries
    ADD CONSTRAINT alert_deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY alerts
    ADD CONSTRAINT alerts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY archive_objects
    ADD CONSTRAINT archive_objects_pkey PRIMARY KEY (id);

ALTER TABLE ONLY archive_restores
    ADD CONSTRAINT archive_restores_pkey PRIMARY KEY (id);

ALTER TABLE ONLY audit_trail
    ADD CONSTRAINT audit_trail_pkey PRIMARY KEY (id);

ALTER TABLE ONLY build_stats_cache
    ADD CONSTRAINT build_stats_cache_pkey PRIMARY KEY (id);

ALTER TABLE ONLY build_stats_history
    ADD CONSTRAINT build_stats_history_pkey PRIMARY KEY (taken_at);

ALTER TABLE ONLY build_stats_partials
    ADD CONSTRAINT build_stats_partials_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY builds
    ADD CONSTRAINT builds_pkey PRIMARY KEY (id);

ALTER TABLE ONLY dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY engagement_cohorts
    ADD CONSTRAINT engagement_cohorts_pkey PRIMARY KEY (cohort_week, week);

ALTER TABLE ONLY engagement_days
    ADD CONSTRAINT engagement_days_pkey PRIMARY KEY (day);

ALTER TABLE ONLY engagement_floors
    ADD CONSTRAINT engagement_floors_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY engagement_months
    ADD CONSTRAINT engagement_months_pkey PRIMARY KEY (month);

ALTER TABLE ONLY execution_days
    ADD CONSTRAINT execution_days_pkey PRIMARY KEY (agent, day);

ALTER TABLE ONLY execution_days_until
    ADD CONSTRAINT execution_days_until_pkey PRIMARY KEY (agent);

ALTER TABLE ONLY execution_hours
    ADD CONSTRAINT execution_hours_pkey PRIMARY KEY (agent, hour);

ALTER TABLE ONLY executions
    ADD CONSTRAINT executions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY inactive_users
    ADD CONSTRAINT inactive_users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY inactivity_events
    ADD CONSTRAINT inactivity_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY job_runs
    ADD CONSTRAINT job_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY job_settings
    ADD CONSTRAINT job_settings_pkey PRIMARY KEY (job);

ALTER TABLE ONLY source_cursors
    ADD CONSTRAINT source_cursors_pkey PRIMARY KEY (source);

ALTER TABLE ONLY source_documents
    ADD CONSTRAINT source_documents_pkey PRIMARY KEY (source, entity, id);

ALTER TABLE ONLY stream_positions
    ADD CONSTRAINT stream_positions_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY stream_samples
    ADD CONSTRAINT stream_samples_pkey PRIMARY KEY (at, worker);

ALTER TABLE ONLY stream_topics
    ADD CONSTRAINT stream_topics_pkey PRIMARY KEY (topic);

ALTER TABLE ONLY tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY user_activity_archive
    ADD CONSTRAINT user_activity_archive_pkey PRIMARY KEY (run_id, day, user_id);

ALTER TABLE ONLY user_activity_cleaned
    ADD CONSTRAINT user_activity_cleaned_pkey PRIMARY KEY (id);

ALTER TABLE ONLY user_activity_daily
    ADD CONSTRAINT user_activity_daily_pkey PRIMARY KEY (day, user_id);

ALTER TABLE ONLY user_profiles
    ADD CONSTRAINT user_profiles_pkey PRIMARY KEY (id);

CREATE INDEX activity_archive_kept ON activity_archive USING btree (id) WHERE (kept_until IS NOT NULL);

CREATE INDEX agent_activity_feed_timestamp ON agent_activity_feed USING btree ("timestamp", id);

CREATE INDEX agent_activity_feed_tombstones ON agent_activity_feed USING btree (id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX agent_activity_feed_untimed ON agent_activity_feed USING btree (id) WHERE (("timestamp" IS NULL) AND (deleted_at IS NULL));

CREATE INDEX agent_stats_cache_agent_name ON agent_stats_cache USING btree (agent_name);

CREATE INDEX agent_stats_partials_position ON agent_stats_partials USING btree (topic, partition);

CREATE INDEX agents_name ON agents USING btree (name);

CREATE UNIQUE INDEX alert_deliveries_event ON alert_deliveries USING btree (alert_id, event, channel);

CREATE INDEX alert_deliveries_open ON alert_deliveries USING btree (next_try_at) WHERE (sent_at IS NULL);

CREATE INDEX alerts_ended_at ON alerts USING btree (ended_at);

CREATE UNIQUE INDEX alerts_open ON alerts USING btree (kind, subject) WHERE (ended_at IS NULL);

CREATE UNIQUE INDEX api_tokens_digest ON api_tokens USING btree (digest);

CREATE UNIQUE INDEX api_tokens_name ON api_tokens USING btree (name) WHERE ((revoked_at IS NULL) AND (replaced_at IS NULL));

CREATE INDEX archive_objects_day ON archive_objects USING btree (day, id);

CREATE UNIQUE INDEX archive_objects_name ON archive_objects USING btree (name);

CREATE INDEX archive_restores_until ON archive_restores USING btree (until, id);

CREATE INDEX builds_completed_at ON builds USING btree (completed_at);

CREATE INDEX builds_prd_id ON builds USING btree ("left"((doc ->> 'prdId'::text), 256));

CREATE INDEX builds_started_at ON builds USING btree (started_at, id);

CREATE INDEX builds_status_started_at ON builds USING btree (status, started_at);

CREATE INDEX builds_tombstones ON builds USING btree (id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX builds_untimed ON builds USING btree (id) WHERE ((started_at IS NULL) AND (deleted_at IS NULL));

CREATE INDEX dead_letters_moved ON dead_letters USING btree (topic, generation, partition, "offset") WHERE ((state = 'open'::text) AND (reason = 'source_moved'::text));

CREATE UNIQUE INDEX dead_letters_record ON dead_letters USING btree (topic, generation, partition, "offset");

CREATE INDEX dead_letters_state ON dead_letters USING btree (state, id);

CREATE INDEX executions_agent_timestamp ON executions USING btree (agent, "timestamp") INCLUDE (duration);

CREATE INDEX executions_archived ON executions USING btree ("timestamp", id) WHERE ((doc IS NULL) AND (deleted_at IS NULL));

CREATE INDEX executions_task_id ON executions USING btree (task_id);

CREATE INDEX executions_to_compact ON executions USING btree ("timestamp", id) WHERE (doc IS NOT NULL);

CREATE INDEX executions_tombstones ON executions USING btree (id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX executions_untimed ON executions USING btree (id) WHERE (("timestamp" IS NULL) AND (deleted_at IS NULL));

CREATE UNIQUE INDEX inactivity_events_ce_id ON inactivity_events USING btree (ce_id);

CREATE INDEX inactivity_events_open ON inactivity_events USING btree (id) WHERE (sent_at IS NULL);

CREATE INDEX job_runs_ended_at ON job_runs USING btree (ended_at);

CREATE INDEX job_runs_history ON job_runs USING btree (job, scheduled_at);

CREATE INDEX job_runs_running ON job_runs USING btree (job, lease_until) WHERE (outcome IS NULL);

CREATE UNIQUE INDEX job_runs_slot ON job_runs USING btree (job, slot);

CREATE INDEX tasks_agent ON tasks USING btree (agent);

CREATE INDEX tasks_build_id ON tasks USING btree (build_id);

CREATE INDEX tasks_created_at ON tasks USING btree (created_at, id);

CREATE INDEX tasks_done ON tasks USING btree (agent, done_at) WHERE (done_at IS NOT NULL);

CREATE INDEX tasks_failed ON tasks USING btree (agent, failed_at) WHERE (failed_at IS NOT NULL);

CREATE INDEX tasks_tombstones ON tasks USING btree (id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX tasks_untimed ON tasks USING btree (id) WHERE ((created_at IS NULL) AND (deleted_at IS NULL));

CREATE INDEX user_activity_daily_user_id ON user_activity_daily USING btree (user_id, day);

CREATE INDEX user_profiles_last_active_at ON user_profiles USING btree (last_active_at, id);

CREATE INDEX user_profiles_tombstones ON user_profiles USING btree (id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX user_profiles_untimed ON user_profiles USING btree (id) WHERE ((last_active_at IS NULL) AND (deleted_at IS NULL));

CREATE TRIGGER audit_trail_rows BEFORE DELETE OR UPDATE ON audit_trail FOR EACH ROW EXECUTE FUNCTION audit_trail_only_grows();

ALTER TABLE audit_trail ENABLE ALWAYS TRIGGER audit_trail_rows;

CREATE TRIGGER audit_trail_truncate BEFORE TRUNCATE ON audit_trail FOR EACH STATEMENT EXECUTE FUNCTION audit_trail_only_grows();

ALTER TABLE audit_trail ENABLE ALWAYS TRIGGER audit_trail_truncate;

CREATE TRIGGER job_runs_older_workers BEFORE INSERT OR UPDATE ON job_runs FOR EACH STATEMENT WHEN (((current_setting('application_name'::text) ~~ 'nova-stream %'::text) AND ((COALESCE(NULLIF(current_setting('nova_stream.schema'::text, true), ''::text), '0'::text))::integer < 24))) EXECUTE FUNCTION older_workers_wait();

CREATE TRIGGER stream_positions_older_workers BEFORE UPDATE ON stream_positions FOR EACH STATEMENT WHEN (((current_setting('application_name'::text) ~~ 'nova-stream %'::text) AND ((COALESCE(NULLIF(current_setting('nova_stream.schema'::text, true), ''::text), '0'::text))::integer < 24))) EXECUTE FUNCTION older_workers_wait();

ALTER TABLE ONLY alert_deliveries
    ADD CONSTRAINT alert_deliveries_alert_id_fkey FOREIGN KEY (alert_id) REFERENCES alerts(id) ON DELETE CASCADE;
