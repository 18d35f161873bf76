"""Growth beyond a limit is refused, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from app.errors import InvalidInput, LimitReached
from app.quotas.plan import Limits, Usage, check_growth, valid_limits

NOW = Usage(apps=3, replicas=5, cpu_millis=500, memory_mb=1024)


@pytest.mark.parametrize("name", ["apps", "replicas", "cpu_millis", "memory_mb"])
def test_each_limit_stops_growth_and_says_itself(name: str) -> None:
    has = getattr(NOW, name)
    more = dataclasses.replace(NOW, **{name: has + 1})
    check_growth(Limits(**{name: has + 1}), NOW, more)
    with pytest.raises(LimitReached, match=f"may have {has} ") as refused:
        check_growth(Limits(**{name: has}), NOW, more)
    assert refused.value.field == name


def test_who_is_over_a_lowered_limit_may_shrink_but_not_grow() -> None:
    limits = Limits(replicas=2)
    check_growth(limits, NOW, NOW)
    check_growth(limits, NOW, dataclasses.replace(NOW, replicas=4))
    check_growth(limits, NOW, dataclasses.replace(NOW, memory_mb=9999))
    with pytest.raises(LimitReached):
        check_growth(limits, NOW, dataclasses.replace(NOW, replicas=6))


def test_an_organizations_own_limit_comes_before_the_default() -> None:
    default = Limits(apps=10, replicas=20)
    assert Limits(apps=50).or_else(default) == Limits(apps=50, replicas=20)
    assert Limits(apps=0).or_else(default).apps == 0


def test_absurd_limits_are_refused() -> None:
    for value in (-1, 2**31):
        with pytest.raises(InvalidInput):
            valid_limits({"apps": value})
