"""What the runner knows of a peer.

A peer reads ``NOVA_TOPIC_PREFIX``'s topics into ``NOVA_DATABASE_URL`` and keeps what it needs
besides in ``NOVA_PEER_FOLDER``, which outlives a kill. The runner sees its results through three
views, so that it judges all by the same statements:

- ``peer.rows (entity, id, seq, agent, status, duration)``: what stands, ``entity`` one of agents,
  builds, tasks, executions; ``agent`` is an agent's own name, too
- ``peer.agents (agent, total, completed, failed, avg_duration)``: its statistics
- ``peer.builds (total, completed, failed, running)``: its statistics of builds, one row or none
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class UnavailableError(Exception):
    """What a peer needs cannot be had here; the message says what and why."""


class Start(NamedTuple):
    """How the process of a peer is started."""

    command: Sequence[str]
    variables: Mapping[str, str] = {}


class Peer(NamedTuple):
    """A program to compare with."""

    name: str
    #: What it is made of, with versions.
    made_of: str
    #: What its documentation lets one expect of the numbers in Postgres.
    claims: str
    #: Fetches its parts, once a run; raises UnavailableError.
    prepare: Callable[[], Start]
    #: Makes its tables, or nothing where they are nova-stream's.
    tables: str
    rows: str
    #: None where it keeps no statistics.
    agents: str | None = None
    builds: str | None = None

    @property
    def statistics(self) -> bool:
        return self.agents is not None

    @property
    def word(self) -> str:
        """The name as topics and files can have it."""
        return re.sub("[^A-Za-z0-9]+", "-", self.name)

    def views(self) -> str:
        """The statements that show the runner what the peer has written."""
        agents = self.agents or (
            "SELECT ''::text AS agent, 0 AS total, 0 AS completed, 0 AS failed,"
            " 0 AS avg_duration WHERE false"
        )
        builds = self.builds or (
            "SELECT 0 AS total, 0 AS completed, 0 AS failed, 0 AS running WHERE false"
        )
        return f"""
CREATE SCHEMA peer;
CREATE VIEW peer.rows (entity, id, seq, agent, status, duration) AS {self.rows};
CREATE VIEW peer.agents (agent, total, completed, failed, avg_duration) AS {agents};
CREATE VIEW peer.builds (total, completed, failed, running) AS {builds};
"""


def rows_of(prefix: str, *, id_column: str = "id", version: str = "seq", where: str = "") -> str:
    """The usual ``peer.rows``: tables ``<prefix>agents`` and so on with these columns."""
    common = f"{id_column}, {version}"
    return f"""
SELECT 'agents', {common}, name, NULL::text, NULL::numeric FROM {prefix}agents {where}
UNION ALL SELECT 'builds', {common}, NULL, status, NULL FROM {prefix}builds {where}
UNION ALL SELECT 'tasks', {common}, agent, status, NULL FROM {prefix}tasks {where}
UNION ALL SELECT 'executions', {common}, agent, NULL, duration::numeric
FROM {prefix}executions {where}
"""


def joined_agents_of(prefix: str, *, id_column: str) -> str:
    """The ``peer.agents`` of a peer that counts tasks and executions in tables of their own."""
    return f"""
SELECT {id_column}, coalesce(total, 0), coalesce(completed, 0), coalesce(failed, 0),
    coalesce(floor(duration_sum::float8 / nullif(executions, 0) + 0.5), 0)
FROM {prefix}task_stats FULL JOIN {prefix}execution_stats USING ({id_column})"""
