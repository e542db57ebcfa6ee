"""All faults that are put into the product on purpose."""

from __future__ import annotations

from tests.simulation import mutations_flush, mutations_jobs, mutations_reading

MUTATIONS = [
    *mutations_flush.MUTATIONS,
    *mutations_reading.MUTATIONS,
    *mutations_jobs.MUTATIONS,
]
