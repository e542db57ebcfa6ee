"""What runs of jobs did, as sentences for people: the page and the command line say the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Figures = Mapping[str, Any]


def did(job: str, outcome: str | None, result: Figures | None, *, dry_run: bool) -> str | None:
    """What a run with this ``result`` did, or why there was none; None where nothing is known."""
    if result is None:
        return _WITHOUT_RUN.get(outcome or "")
    told = _told(_SENTENCES.get(job), result)
    return f"Dry run: {told}" if dry_run else told


def did_together(job: str, counts: Figures) -> str | None:
    """What several runs did, from the sums of their figures; None for a job that has no sentence
    for that.
    """
    sentence = _SENTENCES_OF_SEVERAL.get(job)
    return _told(sentence, counts) if sentence and counts else None


def _told(sentence: Callable[[Figures], str] | None, result: Figures) -> str:
    """By the job's sentence; a result without what it needs, of another version, as figures."""
    if sentence is not None:
        try:
            return sentence(result)
        except (KeyError, TypeError, ValueError):
            pass
    figures = [(name, value) for name, value in result.items() if type(value) in (int, float)]
    return ", ".join(f"{name} {value:,}" for name, value in figures)


def _many(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _cleaned(result: Figures) -> str:
    return f"{_many(result['deleted'], 'activity', 'activities')} deleted"


def _stalled(result: Figures) -> str:
    stalled = result["stalled"]
    return (
        f"{_many(stalled, 'stalled build')} marked as failed" if stalled else "No build has stalled"
    )


def _archived(result: Figures) -> str:
    objects = result.get("objects")
    where = f" in {_many(objects, 'object')}" if objects else ""
    return f"{_many(result['compacted'], 'execution')} archived{where}"


def _inactive(result: Figures) -> str:
    newly, again = result["newlyInactive"], result["reactivated"]
    everyone = _many(result["inactive"], "user")
    return f"{everyone} inactive: {newly:,} newly so, {again:,} active again"


def _health(result: Figures) -> str:
    letters = _many(result["openDeadLetters"], "open dead letter")
    return "; ".join(result["problems"]) or f"Healthy, lag {result['lag']:,}, {letters}"


def _recounted(figure: str, one: str) -> Callable[[Figures], str]:
    def sentence(result: Figures) -> str:
        repaired = f"{_many(result['drift'], 'figure')} repaired" if result["drift"] else ""
        return f"{_many(result[figure], one)} recounted, {repaired or 'every figure was right'}"

    return sentence


def _repaired(counts: Figures) -> str:
    drift = counts["drift"]
    return f"{_many(drift, 'figure')} repaired" if drift else "Every figure was right"


#: A sentence of a run's result, by job; of others the figures are told.
_SENTENCES: dict[str, Callable[[Figures], str]] = {
    "cleanupOldActivity": _cleaned,
    "computeAgentStats": _recounted("computed", "agent"),
    "checkStalledBuilds": _stalled,
    "compactOldExecutions": _archived,
    "markInactiveUsers": _inactive,
    "refreshBuildStats": _recounted("totalBuilds", "build"),
    "summarizeEngagement": lambda result: (
        f"{_many(result['days'], 'day')} counted with {_many(result['users'], 'active user')}"
    ),
    "healthCheck": _health,
}

#: A sentence of the sums of several runs' figures.
_SENTENCES_OF_SEVERAL: dict[str, Callable[[Figures], str]] = {
    "cleanupOldActivity": _cleaned,
    "computeAgentStats": _repaired,
    "checkStalledBuilds": _stalled,
    "compactOldExecutions": lambda counts: f"{_many(counts['compacted'], 'execution')} archived",
    "markInactiveUsers": lambda counts: (
        f"{counts['newlyInactive']:,} newly inactive, {counts['reactivated']:,} active again"
    ),
    "refreshBuildStats": _repaired,
}

#: Why a slot has no run.
_WITHOUT_RUN = {
    "missed": "Nobody ran it",
    "skipped_paused": "Skipped: the job was paused",
    "skipped_overlap": "Skipped: the run before it went on",
}
