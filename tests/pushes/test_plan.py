"""What a push asks for: refs, options."""

from __future__ import annotations

import pytest

from app.ports.repositories import RefUpdate
from app.pushes.plan import ATOMIC_FAILED, Patience, parse_options, triage
from app.refs import ZERO, ref_problem

SHA = "1" * 40


def _updates(*refs: str) -> list[RefUpdate]:
    return [RefUpdate(ref, ZERO, SHA) for ref in refs]


@pytest.mark.parametrize(
    ("options", "patience", "problems"),
    [
        ({}, Patience.FOLLOW, 0),
        ({"wait": ""}, Patience.WAIT, 0),
        ({"no-wait": ""}, Patience.NO_WAIT, 0),
        ({"wait": "", "no-wait": ""}, Patience.WAIT, 1),
        ({"wait": "yes"}, Patience.FOLLOW, 1),
        ({"ci.skip": "", "no-wait": ""}, Patience.NO_WAIT, 1),
    ],
)
def test_options(options: dict[str, str], patience: Patience, problems: int) -> None:
    parsed = parse_options(options)
    assert (parsed.patience, len(parsed.problems)) == (patience, problems)


def test_refs_outside_of_branches_and_tags_are_refused_alone() -> None:
    updates = _updates("refs/heads/a", "refs/pull/1/head", "refs/paas/x", "refs/tags/v1")
    found = triage(updates, Patience.FOLLOW, atomic=False)
    assert [u.ref for u in found.accepted] == ["refs/heads/a", "refs/tags/v1"]
    assert [r.ref for r in found.refused] == ["refs/pull/1/head", "refs/paas/x"]


def test_one_refused_ref_refuses_all_of_an_atomic_push() -> None:
    found = triage(_updates("refs/heads/a", "refs/pull/1"), Patience.FOLLOW, atomic=True)
    assert found.accepted == []
    assert next(r.error for r in found.refused if r.ref == "refs/heads/a") == ATOMIC_FAILED


def test_waiting_takes_branches_only_and_one_of_an_atomic_push() -> None:
    tags = triage(_updates("refs/tags/v1"), Patience.WAIT, atomic=False)
    assert tags.accepted == []
    two = _updates("refs/heads/a", "refs/heads/b")
    assert triage(two, Patience.WAIT, atomic=True).accepted == []
    assert len(triage(two, Patience.WAIT, atomic=False).accepted) == 2


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/",
        "refs/heads/a..b",
        "refs/heads/a b",
        "refs/heads/a\x7f",
        "refs/heads/.a",
        "refs/heads/a.lock",
        "refs/heads/a.lock/b",
        "refs/heads/a/",
        "refs/heads//a",
        "refs/heads/a.",
        "refs/heads/a@{1}",
        "refs/heads/a^",
        "refs/heads/a\\b",
        "refs/heads/-a",
        "refs/heads/\udcff",
        "heads/a",
        "HEAD",
        "refs",
        "refs/heads/" + "a" * 201,
        "refs/heads/" + "a/" * 500 + "a",
    ],
)
def test_name_that_git_or_a_file_system_would_not_take(ref: str) -> None:
    assert ref_problem(ref)


@pytest.mark.parametrize(
    "ref", ["refs/heads/a", "refs/heads/feature/-x", "refs/tags/v1.0", "refs/heads/ü"]
)
def test_name_that_git_takes(ref: str) -> None:
    assert ref_problem(ref) is None
