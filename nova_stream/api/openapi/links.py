"""Links of the OpenAPI document: where a part of an answer leads to."""

from __future__ import annotations

from typing import Any

from nova_stream.api.state import PREFIX


def _link(method: str, path: str, **parameters: str) -> dict[str, Any]:
    escaped = f"{PREFIX}{path}".replace("/", "~1")
    return {"operationRef": f"#/paths/{escaped}/{method}", "parameters": parameters}


_JOB, _RUN = "$response.body#/job", "$response.body#/runId"
_FIRST_JOB, _FIRST_RUN = "$response.body#/items/0/job", "$response.body#/items/0/runId"
_NAME, _LETTER = "$response.body#/items/0/agentName", "$response.body#/items/0/id"
_TOKEN = "$response.body#/token"  # noqa: S105 - a place in an answer

AGENTS = {
    "agent": _link("get", "/agents/{name}/stats", name=_NAME),
    "explanation": _link("get", "/agents/{name}/explain", name=_NAME),
}
BUILDS = {"build": _link("get", "/builds/{id}", id="$response.body#/items/0/id")}
TASKS = {"task": _link("get", "/tasks/{id}", id="$response.body#/items/0/id")}
EXECUTIONS = {"execution": _link("get", "/executions/{id}", id="$response.body#/items/0/id")}
USERS = {"user": _link("get", "/users/{id}", id="$response.body#/items/0/id")}
JOBS = {"runs": _link("get", "/jobs/{name}/runs", name="$response.body#/items/0/name")}
RUNS = {
    "run": _link("get", "/jobs/{name}/runs/{runId}", name=_FIRST_JOB, runId=_FIRST_RUN),
    "undo": _link("post", "/jobs/{name}/runs/{runId}/undo", name=_FIRST_JOB, runId=_FIRST_RUN),
}
REQUESTED_RUN = {
    "run": _link("get", "/jobs/{name}/runs/{runId}", name=_JOB, runId=_RUN),
    "undo": _link("post", "/jobs/{name}/runs/{runId}/undo", name=_JOB, runId=_RUN),
}
DEAD_LETTERS = {
    "letter": _link("get", "/dead-letters/{id}", id=_LETTER),
    "retry": _link("post", "/dead-letters/{id}/retry", id=_LETTER),
    "discard": _link("post", "/dead-letters/{id}/discard", id=_LETTER),
}
PUBLISHED = {
    "overview": _link("get", "/overview", after=_TOKEN),
    "agents": _link("get", "/agents/stats", after=_TOKEN),
}
