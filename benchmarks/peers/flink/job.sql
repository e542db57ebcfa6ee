-- Tasks, executions, builds and agents as they stand, and their statistics, by Flink SQL.
-- The newest version of each id is kept by the documented pattern of ROW_NUMBER; the JDBC sinks
-- have primary keys, so that they write by upsert.

SET 'parallelism.default' = '2';

SET 'execution.checkpointing.interval' = '2 s';

SET 'execution.checkpointing.dir' = 'file://${NOVA_PEER_FOLDER}/checkpoints';

SET 'execution.checkpointing.externalized-checkpoint-retention' = 'RETAIN_ON_CANCELLATION';

SET 'table.exec.mini-batch.enabled' = 'true';

SET 'table.exec.mini-batch.allow-latency' = '100 ms';

SET 'table.exec.mini-batch.size' = '5000';

CREATE TABLE agent_changes (
  `after` ROW<id STRING, name STRING, `role` STRING, `domain` STRING, `model` STRING, createdAt STRING>,
  source ROW<seq BIGINT>
) WITH (
  'connector' = 'kafka', 'topic' = '${NOVA_TOPIC_PREFIX}.agents',
  'properties.bootstrap.servers' = '${NOVA_KAFKA_BROKERS}',
  'properties.group.id' = '${NOVA_CONSUMER_GROUP}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json'
);

CREATE TABLE build_changes (
  `after` ROW<id STRING, prdId STRING, prdName STRING, status STRING, startedAt STRING,
    completedAt STRING, error STRING>,
  source ROW<seq BIGINT>
) WITH (
  'connector' = 'kafka', 'topic' = '${NOVA_TOPIC_PREFIX}.builds',
  'properties.bootstrap.servers' = '${NOVA_KAFKA_BROKERS}',
  'properties.group.id' = '${NOVA_CONSUMER_GROUP}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json'
);

CREATE TABLE task_changes (
  `after` ROW<id STRING, buildId STRING, taskId STRING, title STRING, agent STRING, status STRING,
    phase INT, attempts INT, createdAt STRING, output STRING, error STRING>,
  source ROW<seq BIGINT>
) WITH (
  'connector' = 'kafka', 'topic' = '${NOVA_TOPIC_PREFIX}.tasks',
  'properties.bootstrap.servers' = '${NOVA_KAFKA_BROKERS}',
  'properties.group.id' = '${NOVA_CONSUMER_GROUP}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json'
);

CREATE TABLE execution_changes (
  `after` ROW<id STRING, taskId STRING, agent STRING, `model` STRING, prompt STRING, response STRING,
    gatesPassed BOOLEAN, duration BIGINT, `timestamp` STRING>,
  source ROW<seq BIGINT>
) WITH (
  'connector' = 'kafka', 'topic' = '${NOVA_TOPIC_PREFIX}.executions',
  'properties.bootstrap.servers' = '${NOVA_KAFKA_BROKERS}',
  'properties.group.id' = '${NOVA_CONSUMER_GROUP}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json'
);

CREATE VIEW agents AS
SELECT id, seq, name, `role`, `domain`, `model`, created_at
FROM (
  SELECT `after`.id AS id, source.seq AS seq, `after`.name AS name, `after`.`role` AS `role`,
    `after`.`domain` AS `domain`, `after`.`model` AS `model`, `after`.createdAt AS created_at,
    ROW_NUMBER() OVER (PARTITION BY `after`.id ORDER BY source.seq DESC) AS place
  FROM agent_changes)
WHERE place = 1;

CREATE VIEW builds AS
SELECT id, seq, prd_id, prd_name, status, started_at, completed_at, error
FROM (
  SELECT `after`.id AS id, source.seq AS seq, `after`.prdId AS prd_id,
    `after`.prdName AS prd_name, `after`.status AS status, `after`.startedAt AS started_at,
    `after`.completedAt AS completed_at, `after`.error AS error,
    ROW_NUMBER() OVER (PARTITION BY `after`.id ORDER BY source.seq DESC) AS place
  FROM build_changes)
WHERE place = 1;

CREATE VIEW tasks AS
SELECT id, seq, build_id, task_id, title, agent, status, phase, attempts, created_at, output, error
FROM (
  SELECT `after`.id AS id, source.seq AS seq, `after`.buildId AS build_id,
    `after`.taskId AS task_id, `after`.title AS title, `after`.agent AS agent,
    `after`.status AS status, `after`.phase AS phase, `after`.attempts AS attempts,
    `after`.createdAt AS created_at, `after`.output AS output, `after`.error AS error,
    ROW_NUMBER() OVER (PARTITION BY `after`.id ORDER BY source.seq DESC) AS place
  FROM task_changes)
WHERE place = 1;

CREATE VIEW executions AS
SELECT id, seq, task_id, agent, `model`, prompt, response, gates_passed, duration, executed_at
FROM (
  SELECT `after`.id AS id, source.seq AS seq, `after`.taskId AS task_id, `after`.agent AS agent,
    `after`.`model` AS `model`, `after`.prompt AS prompt, `after`.response AS response,
    `after`.gatesPassed AS gates_passed, `after`.duration AS duration,
    `after`.`timestamp` AS executed_at,
    ROW_NUMBER() OVER (PARTITION BY `after`.id ORDER BY source.seq DESC) AS place
  FROM execution_changes)
WHERE place = 1;

CREATE TABLE agents_out (
  id STRING, seq BIGINT, name STRING, `role` STRING, `domain` STRING, `model` STRING,
  created_at STRING, PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'jdbc', 'url' = '${PEER_JDBC_URL}', 'table-name' = 'flink_agents',
  'username' = '${PEER_JDBC_USER}', 'password' = '${PEER_JDBC_PASSWORD}',
  'sink.buffer-flush.max-rows' = '5000', 'sink.buffer-flush.interval' = '100 ms'
);

CREATE TABLE builds_out (
  id STRING, seq BIGINT, prd_id STRING, prd_name STRING, status STRING, started_at STRING,
  completed_at STRING, error STRING, PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'jdbc', 'url' = '${PEER_JDBC_URL}', 'table-name' = 'flink_builds',
  'username' = '${PEER_JDBC_USER}', 'password' = '${PEER_JDBC_PASSWORD}',
  'sink.buffer-flush.max-rows' = '5000', 'sink.buffer-flush.interval' = '100 ms'
);

CREATE TABLE tasks_out (
  id STRING, seq BIGINT, build_id STRING, task_id STRING, title STRING, agent STRING,
  status STRING, phase INT, attempts INT, created_at STRING, output STRING, error STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'jdbc', 'url' = '${PEER_JDBC_URL}', 'table-name' = 'flink_tasks',
  'username' = '${PEER_JDBC_USER}', 'password' = '${PEER_JDBC_PASSWORD}',
  'sink.buffer-flush.max-rows' = '5000', 'sink.buffer-flush.interval' = '100 ms'
);

CREATE TABLE executions_out (
  id STRING, seq BIGINT, task_id STRING, agent STRING, `model` STRING, prompt STRING,
  response STRING, gates_passed BOOLEAN, duration BIGINT, executed_at STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'jdbc', 'url' = '${PEER_JDBC_URL}', 'table-name' = 'flink_executions',
  'username' = '${PEER_JDBC_USER}', 'password' = '${PEER_JDBC_PASSWORD}',
  'sink.buffer-flush.max-rows' = '5000', 'sink.buffer-flush.interval' = '100 ms'
);

CREATE TABLE agent_stats_out (
  agent STRING, total BIGINT, completed BIGINT, failed BIGINT, executions BIGINT,
  duration_sum BIGINT, PRIMARY KEY (agent) NOT ENFORCED
) WITH (
  'connector' = 'jdbc', 'url' = '${PEER_JDBC_URL}', 'table-name' = 'flink_agent_stats',
  'username' = '${PEER_JDBC_USER}', 'password' = '${PEER_JDBC_PASSWORD}',
  'sink.buffer-flush.max-rows' = '5000', 'sink.buffer-flush.interval' = '100 ms'
);

CREATE TABLE build_stats_out (
  id INT, total BIGINT, completed BIGINT, failed BIGINT, `running` BIGINT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'jdbc', 'url' = '${PEER_JDBC_URL}', 'table-name' = 'flink_build_stats',
  'username' = '${PEER_JDBC_USER}', 'password' = '${PEER_JDBC_PASSWORD}',
  'sink.buffer-flush.max-rows' = '5000', 'sink.buffer-flush.interval' = '100 ms'
);

INSERT INTO agents_out SELECT * FROM agents;

INSERT INTO builds_out SELECT * FROM builds;

INSERT INTO tasks_out SELECT * FROM tasks;

INSERT INTO executions_out SELECT * FROM executions;

INSERT INTO agent_stats_out
SELECT agent, SUM(tasks), SUM(completed), SUM(failed), SUM(executions), SUM(duration)
FROM (
  SELECT agent, 1 AS tasks, CASE status WHEN 'done' THEN 1 ELSE 0 END AS completed,
    CASE status WHEN 'failed' THEN 1 ELSE 0 END AS failed, 0 AS executions,
    CAST(0 AS BIGINT) AS duration
  FROM tasks
  UNION ALL
  SELECT agent, 0, 0, 0, 1, duration FROM executions)
GROUP BY agent;

INSERT INTO build_stats_out
SELECT 1, COUNT(*), COUNT(*) FILTER (WHERE status = 'completed'),
  COUNT(*) FILTER (WHERE status = 'failed'), COUNT(*) FILTER (WHERE status = 'running')
FROM builds;
