"""How a migration stops workers that would write rows as they were before it.

A process looks at the schema when it starts. One that was at work before goes on, and leaves alone
what the new version keeps besides. All that a worker writes ends with its positions or begins with
a run of a job: there it is refused. Its errors are the set-up's to it, so it waits, loses nothing,
and whoever follows it goes on from its positions.
"""

from __future__ import annotations

#: The setting in which each connection says which schema it was written for.
SETTING = "nova_stream.schema"

_TABLES = {"stream_positions": "UPDATE", "job_runs": "INSERT OR UPDATE"}

# 0A is one of the classes that every version takes for the set-up's fault.
REFUSAL = """
CREATE FUNCTION older_workers_wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the database was migrated for a newer nova-stream: '
        'end this process and start the new version'
        USING ERRCODE = 'feature_not_supported';
END
$$
"""


def refuse_below(revision: str) -> list[str]:
    """Statements after which no nova-stream writes that was made for a schema before ``revision``.

    Who uses the tables by hand is not meant. A connection whose start parameters a pooler drops is
    refused as well; ``database.check_schema`` tells it so before it writes.
    """
    return [
        f"""
CREATE OR REPLACE TRIGGER {table}_older_workers BEFORE {events} ON {table} FOR EACH STATEMENT
WHEN (current_setting('application_name') LIKE 'nova-stream %'
    AND coalesce(nullif(current_setting('{SETTING}', true), ''), '0')::int < {int(revision)})
EXECUTE FUNCTION older_workers_wait()"""
        for table, events in _TABLES.items()
    ]
