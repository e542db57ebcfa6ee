"""The faults that are put in on purpose still fit the product, and each scenario has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.mutations import MUTATIONS, ROOT, Mutation
from tests.chaos.scenarios import SCENARIOS


def test_each_scenario_has_one_fault_that_it_must_catch() -> None:
    assert [m.scenario for m in MUTATIONS] == [scenario.name for scenario in SCENARIOS]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[m.scenario for m in MUTATIONS])
def test_a_fault_put_in_on_purpose_fits_the_product(mutation: Mutation, tmp_path: Path) -> None:
    for edit in mutation.edits:
        copy = tmp_path / edit.file
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text((ROOT / edit.file).read_text())
        edit.applied_to(tmp_path)
        compile(copy.read_text(), edit.file, "exec")
