"""Who and what the demo is about: 21 agents, their users, and the words of their work."""

from __future__ import annotations

from typing import Any, NamedTuple


class Agent(NamedTuple):
    """An agent and how it works: ``pace`` is its usual duration of an execution in seconds,
    ``luck`` the share of its executions that succeed.
    """

    name: str
    role: str
    domain: str
    model: str
    pace: float
    luck: float

    def document(self) -> dict[str, Any]:
        """The agent as the main app registers it; the same at every start."""
        return {
            "id": f"agent-{self.name}",
            "name": self.name,
            "role": self.role,
            "domain": self.domain,
            "model": self.model,
            "createdAt": "2025-04-26T12:00:00.000Z",
        }


AGENTS = (
    Agent("ANDROMEDA", "release", "release", "local-7b", 2.5, 0.96),
    Agent("ATLAS", "documentation", "documentation", "local-14b", 3.0, 0.97),
    Agent("CALLISTO", "api", "api", "local-32b", 6.0, 0.90),
    Agent("CHARON", "storage", "storage", "cloud-a", 5.0, 0.92),
    Agent("EARTH", "product-spec", "product", "cloud-b", 8.0, 0.97),
    Agent("ENCELADUS", "verification", "verification", "local-7b", 2.0, 0.88),
    Agent("EUROPA", "ui-shell", "ui", "local-14b", 4.0, 0.91),
    Agent("GANYMEDE", "realtime", "realtime", "local-32b", 6.5, 0.87),
    Agent("IO", "swift", "swift", "cloud-a", 7.0, 0.86),
    Agent("JUPITER", "architecture", "architecture", "cloud-b", 11.0, 0.95),
    Agent("MARS", "backend", "backend", "local-7b", 3.5, 0.90),
    Agent("MERCURY", "validation", "validation", "local-14b", 1.5, 0.93),
    Agent("MIMAS", "profiles", "profiles", "local-32b", 3.0, 0.92),
    Agent("NEPTUNE", "analytics", "analytics", "cloud-a", 5.5, 0.91),
    Agent("PLUTO", "packaging", "packaging", "cloud-b", 4.0, 0.94),
    Agent("SATURN", "tests", "tests", "local-7b", 3.0, 0.84),
    Agent("SUN", "design", "design", "local-14b", 5.0, 0.95),
    Agent("TITAN", "realtime-sync", "realtime", "local-32b", 6.0, 0.85),
    Agent("TRITON", "integration", "integration", "cloud-a", 9.0, 0.82),
    Agent("URANUS", "research", "research", "cloud-b", 14.0, 0.96),
    Agent("VENUS", "components", "components", "local-7b", 2.5, 0.92),
)

#: Seconds of those that worked faster until a day ago.
GOT_SLOWER = {"TRITON": 1.5}

#: Who helps out when a task is handed on: agents of neighbouring work.
STAND_INS: dict[str, tuple[Agent, ...]] = {
    agent.name: tuple(AGENTS[(place + step) % len(AGENTS)] for step in (4, 9, 13))
    for place, agent in enumerate(AGENTS)
}

_ROLES = {agent.role: agent for agent in AGENTS}

#: The phases of a build: what is done in each, and by whom if nothing comes between.
PHASES: tuple[tuple[tuple[str, Agent], ...], ...] = (
    (
        ("Write the spec of the {0}", _ROLES["product-spec"]),
        ("Find out how others solve the {0}", _ROLES["research"]),
    ),
    (
        ("Sketch the {0}", _ROLES["design"]),
        ("Draw the boundaries of the {0}", _ROLES["architecture"]),
    ),
    (
        ("Build the {0} endpoint", _ROLES["api"]),
        ("Store the {0}", _ROLES["storage"]),
        ("Write the {0} service", _ROLES["backend"]),
        ("Lay out the {0} screen", _ROLES["ui-shell"]),
        ("Make the {0} component", _ROLES["components"]),
        ("Push {0} changes to open pages", _ROLES["realtime"]),
        ("Merge {0} edits made offline", _ROLES["realtime-sync"]),
        ("Show the {0} on iOS", _ROLES["swift"]),
        ("Add the {0} to profiles", _ROLES["profiles"]),
        ("Count the use of the {0}", _ROLES["analytics"]),
    ),
    (
        ("Test the {0}", _ROLES["tests"]),
        ("Check the input of the {0}", _ROLES["validation"]),
        ("Verify the {0} against its spec", _ROLES["verification"]),
        ("Bring the parts of the {0} together", _ROLES["integration"]),
    ),
    (
        ("Document the {0}", _ROLES["documentation"]),
        ("Package the {0}", _ROLES["packaging"]),
        ("Release the {0}", _ROLES["release"]),
    ),
)

SUBJECTS = (
    "checkout",
    "invoice",
    "search box",
    "team page",
    "export",
    "audit log",
    "sign-in",
    "notification",
    "calendar",
    "price list",
    "chat",
    "upload",
    "report",
    "settings page",
    "onboarding",
    "map",
    "wish list",
    "feed",
    "backup",
    "dark mode",
)

FAILURES = (
    "type check failed: 3 errors",
    "a test timed out",
    "gate 'schema' refused the output",
    "model answered with an empty patch",
    "merge conflict in 2 files",
    "rate limit of the model provider",
)

LESSONS = (
    ("playbook_updated", "Playbook: retry flaky tests once before failing"),
    ("playbook_updated", "Playbook: ask for the spec before the sketch"),
    ("wisdom_promoted", "Small patches pass the gates more often"),
    ("rehearsal_ran", "Rehearsal of the release went through"),
)

USERS = 40
#: The last of them have not been seen for long, for markInactiveUsers to find.
FADED_USERS = 4
TIERS = ("free", "free", "free", "pro", "pro", "team")
