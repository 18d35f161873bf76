"""Which environments a branch deploys to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pushes.match import match, matches

SPECIFICATION = [
    ("main", {"production": "main"}, ["production"]),
    ("staging", {"production": "main", "staging": "staging"}, ["staging"]),
    ("feature/xyz", {"production": "main", "staging": "staging", "preview": "*"}, ["preview"]),
    ("feature/xyz", {"production": "main"}, []),
    ("main", {"production": "main", "preview": "*"}, ["production"]),
    ("main", {"one": "main", "two": "main", "rest": "*"}, ["one", "two"]),
    ("feature/a", {"all": "*", "features": "feature/*", "exact": "feature/a"}, ["exact"]),
    ("feature/a", {"all": "*", "features": "feature/*"}, ["features"]),
    ("feature/a/b", {"features": "feature/*", "deep": "feature/a/*"}, ["deep"]),
    ("release-1", {"any": "release-*", "digit": "release-?"}, ["digit"]),
    ("x", {"one": "*", "two": "**"}, ["one", "two"]),
    ("x", {"one": "?", "rest": "*"}, ["one"]),
    ("Main", {"production": "main"}, []),
    ("main", {}, []),
]


@pytest.mark.parametrize(("branch", "patterns", "expected"), SPECIFICATION)
def test_specified_matches(branch: str, patterns: dict[str, str], expected: list[str]) -> None:
    assert list(match(branch, patterns).environments) == expected


def test_reason_names_every_environment_and_its_pattern() -> None:
    found = match("topic", {"production": "main", "staging": "release/*"})
    assert found.reason == (
        "no environment deploys the branch 'topic'"
        " (production deploys 'main', staging deploys 'release/*')"
    )


BRANCHES = st.text("ab/-.", min_size=1, max_size=12)
PATTERNS = st.dictionaries(
    st.text("pqrs", min_size=1, max_size=3), st.text("ab/*?", min_size=1, max_size=12), max_size=6
)


@given(BRANCHES, PATTERNS)
def test_winners_all_hold_one_pattern_that_matches_and_no_loser_holds_it(
    branch: str, patterns: dict[str, str]
) -> None:
    found = match(branch, patterns)
    held = {slug: p for slug, p in patterns.items() if matches(p, branch)}
    assert bool(found.environments) == bool(held)
    assert set(found.environments) <= set(held)
    if found.pattern is not None:
        holders = {slug for slug, p in held.items() if p == found.pattern}
        assert holders <= set(found.environments)


@given(BRANCHES, PATTERNS)
def test_exact_match_beats_every_glob(branch: str, patterns: dict[str, str]) -> None:
    patterns = {**patterns, "exact": branch}
    exact = {slug for slug, pattern in patterns.items() if pattern == branch}
    assert set(match(branch, patterns).environments) == exact


@given(BRANCHES, PATTERNS)
def test_catch_all_wins_only_when_nothing_else_matches(
    branch: str, patterns: dict[str, str]
) -> None:
    others = {slug: p for slug, p in patterns.items() if set(p) != {"*"}}
    found = match(branch, {**others, "rest": "*"})
    assert (found.environments == ("rest",)) == (not match(branch, others).environments)


@given(BRANCHES, PATTERNS)
def test_order_of_environments_does_not_matter(branch: str, patterns: dict[str, str]) -> None:
    assert match(branch, patterns) == match(branch, dict(reversed(patterns.items()))) or (
        not match(branch, patterns).environments
    )


def test_many_stars_do_not_make_matching_slow() -> None:
    assert not matches("*a" * 100 + "b", "a" * 1000)


def test_bracket_is_itself() -> None:
    assert not matches("[ab]", "a")


@pytest.mark.parametrize(
    ("branch", "patterns", "rule", "environments", "makes"),
    [
        ("pr-1", {"dev": "*"}, "pr-*", (), True),
        ("pr-1", {"pr-1": "pr-1"}, "pr-*", ("pr-1",), False),
        ("pr-1", {"staging": "pr-*"}, "pr-*", ("staging",), False),
        ("pr-1", {"staging": "pr-?"}, "p*", ("staging",), False),
        ("pr-1", {"staging": "p*"}, "pr-?", (), True),
        ("main", {"production": "main"}, "*", ("production",), False),
        ("other", {"production": "main"}, "pr-*", (), False),
    ],
)
def test_preview_rule_takes_part_with_its_own_pattern(
    branch: str, patterns: dict[str, str], rule: str, environments: tuple[str, ...], makes: bool
) -> None:
    found = match(branch, patterns, rule)
    assert (found.environments, found.makes_preview) == (environments, makes)
