from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.ids import new_id
from app.names import (
    hostname,
    is_id,
    is_slug,
    valid_branch_pattern,
    valid_display_name,
    valid_organization_slug,
    valid_slug,
    valid_variable_name,
)


@pytest.mark.parametrize("slug", ["a", "7", "web", "my-app-2", "a" * 63])
def test_a_dns_label_is_a_slug(slug: str) -> None:
    assert valid_slug(slug) == slug
    assert is_slug(slug)


@pytest.mark.parametrize(
    ("slug", "says"),
    [
        ("", "empty"),
        ("-web", "start with '-'"),
        ("--force", "start with '-'"),
        ("web-", "end with '-'"),
        ("a--b", "'--'"),
        ("xn--80ak6aa92e", "'--'"),
        ("Web", "'W'"),
        ("a" * 64, "64"),
        ("a.b", "'.'"),
        ("a/b", "'/'"),
        ("../etc", "'.'"),
        ("a b", "' '"),
        ("we\u0431", "CYRILLIC SMALL LETTER BE"),
        ("\u0430cme", "CYRILLIC SMALL LETTER A"),
        ("\uff57eb", "FULLWIDTH LATIN SMALL LETTER W"),
        ("web\u0661", "ARABIC-INDIC DIGIT ONE"),
        ("web\u2010app", "HYPHEN"),
        ("web\0", "U+0000"),
        ("web\n", "U+000A"),
    ],
)
def test_another_string_is_refused_and_told_why(slug: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        valid_slug(slug)
    assert says in refused.value.message
    assert refused.value.field == "slug"
    assert not is_slug(slug)


@given(st.text(max_size=70))
def test_what_is_a_slug_and_what_is_refused_are_opposites(text: str) -> None:
    try:
        valid_slug(text)
    except InvalidInput:
        assert not is_slug(text)
    else:
        assert is_slug(text)


@pytest.mark.parametrize("slug", ["default", "api", "graphql", "www"])
def test_the_platforms_own_words_are_no_organizations(slug: str) -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        valid_organization_slug(slug)
    assert valid_slug(slug) == slug


def test_a_fresh_id_has_the_shape_of_one() -> None:
    assert is_id(new_id("app"))
    assert not is_id("app_1")
    assert not is_id("app_" + "\u0661" * 26)


@pytest.mark.parametrize("name", ["Caf\u00e9 \u2615", "Web", "\u65e5\u672c"])
def test_a_display_name_is_any_line_of_text(name: str) -> None:
    assert valid_display_name(f" {name} ", default="x") == name


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\ud800", "abc\u202etxt", "n" * 201])
def test_a_display_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        valid_display_name(name, default="x")


@pytest.mark.parametrize(
    "pattern", ["main", "*", "feature/*", "release-?", "v1.*", "a/b/c", "\u00fcber"]
)
def test_a_branch_or_a_glob_is_a_pattern(pattern: str) -> None:
    assert valid_branch_pattern(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "empty"),
        ("refs/heads/main", "leave out"),
        ("-main", "starts with '-'"),
        ("a..b", "'..'"),
        ("a b", "' '"),
        ("a~1", "'~'"),
        ("a^", "'^'"),
        ("a:b", "':'"),
        ("[ab]", "'['"),
        ("a\\b", "'\\\\'"),
        ("a//b", "'//'"),
        ("/a", "starts with '/'"),
        ("a/", "ends with '/'"),
        ("a.", "'.'"),
        (".hidden", "'.'"),
        ("a.lock", ".lock"),
        ("a@{b", "'@{'"),
        ("@", "'@'"),
        ("a\nb", "U+000A"),
        ("\ud800", "U+D800"),
        ("m" * 256, "255 bytes"),
    ],
)
def test_what_no_branch_can_be_called_is_no_pattern(pattern: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        valid_branch_pattern(pattern)
    assert says in refused.value.message


@pytest.mark.parametrize("name", ["DATABASE_URL", "_", "a1", "port", "N" * 255])
def test_a_variable_name(name: str) -> None:
    assert valid_variable_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "1A", "A-B", "A B", "A=B", "\u0410", "A\n", "N" * 256),
        *("PORT", "PAAS_APP", "paas_x", "NOMAD_TASK_DIR"),
    ],
)
def test_no_variable_name(name: str) -> None:
    with pytest.raises(InvalidInput):
        valid_variable_name(name)


def test_a_hostname_spells_the_whole_place() -> None:
    name = hostname("acme", "storefront", "web", "production", "apps.example.com")
    assert name == "acme.storefront-web-production.apps.example.com"


def test_a_label_of_63_is_a_hostname_and_one_of_64_is_not() -> None:
    assert hostname("acme", "p" * 48, "web", "production", "x")
    with pytest.raises(InvalidInput, match="64 characters") as refused:
        hostname("acme", "p" * 49, "web", "production", "x")
    assert "p" * 49 + "-web-production" in refused.value.message


def test_a_hostname_over_253_characters_is_refused() -> None:
    with pytest.raises(InvalidInput, match="253"):
        hostname(
            "o" * 63, "p" * 48, "web", "production", "b" * 60 + "." + "b" * 63 + "." + "c" * 10
        )
