"""What previews are called, and which rules may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.environments.plan import (
    MAX_PREVIEW_SLUG,
    room_for_slug,
    slug_candidates,
    valid_limits,
    valid_preview_pattern,
    valid_template,
)
from app.errors import InvalidInput, LimitReached
from app.names import is_slug


@pytest.mark.parametrize(
    ("branch", "template", "slug"),
    [
        ("pr-12", "{branch}", "pr-12"),
        ("feature/Login_Page", "{branch}", "feature-login-page"),
        ("Ärger--2", "preview-{branch}", "preview-arger-2"),
        ("pr-12", "{branch}-review", "pr-12-review"),
    ],
)
def test_slug_reads_as_the_branch(branch: str, template: str, slug: str) -> None:
    assert slug_candidates(template, branch, MAX_PREVIEW_SLUG)[0] == slug


def test_branches_that_read_the_same_differ_in_their_later_names() -> None:
    one, other = (slug_candidates("{branch}", name, 32) for name in ("pr/1", "pr-1"))
    assert one[0] == other[0] == "pr-1"
    assert not set(one[1:]) & set(other[1:])


@given(
    branch=st.text(min_size=1, max_size=300),
    template=st.sampled_from(["{branch}", "preview-{branch}", "{branch}-x", "a-{branch}-b"]),
    room=st.integers(min_value=8, max_value=32),
)
def test_every_candidate_is_a_slug_that_fits(branch: str, template: str, room: int) -> None:
    found = slug_candidates(template, branch, room)
    assert found
    assert found == slug_candidates(template, branch, room)
    assert len(set(found)) == len(found)
    assert all(is_slug(slug) and len(slug) <= room for slug in found), found


def test_long_names_leave_less_room_and_then_none() -> None:
    assert room_for_slug("acme", "storefront", ["web"], "apps.test") == MAX_PREVIEW_SLUG
    assert room_for_slug("acme", "p" * 30, ["a" * 20], "apps.test") == 11
    assert slug_candidates("{branch}", "pr-1", 7) == []


@pytest.mark.parametrize("pattern", ["main", "", "a..*"])
def test_rule_needs_a_glob(pattern: str) -> None:
    with pytest.raises(InvalidInput):
        valid_preview_pattern(pattern)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "preview",
        "{branch}{branch}",
        "-{branch}",
        "A{branch}",
        "x--{branch}",
        "y" * 21 + "{branch}",
    ],
)
def test_template_must_spell_slugs(template: str) -> None:
    with pytest.raises(InvalidInput):
        valid_template(template)


def test_limits_are_stated() -> None:
    with pytest.raises(LimitReached, match="between 1 and 50"):
        valid_limits(51, None)
    with pytest.raises(InvalidInput):
        valid_limits(1, 0)
