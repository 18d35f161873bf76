"""Conditions to wait for, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

from app.ports.scheduler import Observation, RolloutStatus
from tests.contract.world import SampleJob, alive, count


def live(sample: SampleJob, number: int, copies: int = 1) -> Callable[[Observation], bool]:
    """This release serves with so many copies, and nothing of another runs any more."""

    def met(seen: Observation) -> bool:
        others = [copy for copy in seen.allocations if copy not in sample.copies(seen, number)]
        return (
            seen.rollout is not None
            and seen.rollout.release_id == sample.release_id(number)
            and seen.rollout.status is RolloutStatus.SUCCEEDED
            and sample.serving(seen, number) == copies
            and count(others, alive) == 0
        )

    return met
