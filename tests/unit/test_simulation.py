"""Histories in virtual time: the length that every run has, and what they must catch."""

from __future__ import annotations

import pytest

from tests.simulation.mutation import Mutation
from tests.simulation.mutations import MUTATIONS
from tests.simulation.play import KINDS, play, simulated, sweep
from tests.simulation.shrink import shrink

#: How many histories every run has; ``make simulate`` plays more.
SEEDS = {"stream": 120, "jobs": 40}


@pytest.mark.parametrize("kind", KINDS)
def test_every_committed_transaction_is_as_the_model_has_it(kind: str) -> None:
    with simulated():
        faults = {seed: found for seed in range(SEEDS[kind]) if (found := play(kind, seed).fault)}
    assert faults == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_some_statements_changes_nothing(kind: str) -> None:
    with simulated():
        faults = [found.fault for found in sweep(kind, 1, every=150) if found.fault]
    assert faults == []


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_many_statements_changes_nothing(kind: str) -> None:
    with simulated():
        faults = [found.fault for found in sweep(kind, 2, every=16) if found.fault]
    assert faults == []


@pytest.mark.long
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_a_fault_in_the_product_is_caught(mutation: Mutation) -> None:
    assert mutation.first_caught() is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_history_again(kind: str) -> None:
    with simulated():
        assert [play(kind, 7), play(kind, 8)] == [play(kind, 7), play(kind, 8)]


def test_of_a_history_the_steps_are_left_without_which_it_does_not_fail() -> None:
    assert shrink(40, lambda kept: {3, 17, 18} <= kept) == [3, 17, 18]
