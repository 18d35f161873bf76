"""The committed schema: current, and a baseline that breaking changes are found against."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import GraphQLEnumType, GraphQLInterfaceType, GraphQLObjectType, build_schema

from app.errors import PaasError
from app.graphql import export
from app.graphql.schema import core_schema, sdl


def test_the_committed_schema_is_what_the_code_says() -> None:
    assert export.main(["--check"]) == 0


def test_check_fails_and_says_what_to_type_when_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "schema.graphql"
    stale.write_text(sdl().replace("displayName", "shownName"))
    monkeypatch.setattr(export, "COMMITTED", stale)
    assert export.main(["--check"]) == 1
    assert "make schema" in capsys.readouterr().err
    assert export.main([]) == 0
    assert export.main(["--check"]) == 0


def test_a_break_is_refused_until_the_docs_tell_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released, record = tmp_path / "released.graphql", tmp_path / "api-changes.md"
    monkeypatch.setattr(export, "RELEASED", released)
    monkeypatch.setattr(export, "CHANGES", record)
    record.write_text("None.")
    released.write_text(sdl().replace("  gitRemoteUrl: String!\n", ""))
    assert export.main(["--check"]) == 0
    app = "type App implements Node {"
    released.write_text(sdl().replace(app, f"{app}\n  gone: Int\n"))
    assert export.main(["--check"]) == 1
    told = capsys.readouterr().err
    assert "App.gone" in told
    record.write_text(told)
    assert export.main(["--check"]) == 0


_REASON = re.compile(r"Use `\w+`.*\. Until \d{4}-\d{2}-\d{2}\.")


def test_what_is_deprecated_says_what_to_use_and_until_when() -> None:
    for kind in core_schema().type_map.values():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in kind.fields.items():
                if field.deprecation_reason:
                    assert _REASON.match(field.deprecation_reason), f"{kind.name}.{name}"


def test_it_parses_as_sdl_and_every_id_is_of_a_node() -> None:
    schema = build_schema(sdl())
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and "id" in kind.fields:
            assert [interface.name for interface in kind.interfaces] == ["Node"], kind.name


def test_every_mutation_answers_with_a_payload() -> None:
    schema = core_schema()
    assert schema.mutation_type is not None
    payload = schema.type_map["MutationPayload"]
    assert isinstance(payload, GraphQLInterfaceType)
    for name, field in schema.mutation_type.fields.items():
        kind = schema.type_map[str(field.type).rstrip("!")]
        assert isinstance(kind, GraphQLObjectType), name
        assert payload in kind.interfaces, name
        assert all(
            not str(each.type).endswith("!") or str(each.type).startswith("[")
            for each in kind.fields.values()
        ), f"{name}: with userErrors the rest is null"


def test_every_failure_has_a_code_in_the_schema() -> None:
    def tree(kind: type[PaasError]) -> set[str]:
        is_edge = kind is PaasError or kind.__module__.startswith(("app.rest", "app.cli"))
        codes = set() if is_edge else {kind.code}
        return codes.union(*(tree(below) for below in kind.__subclasses__()))

    codes = core_schema().type_map["UserErrorCode"]
    assert isinstance(codes, GraphQLEnumType)
    assert tree(PaasError) <= set(codes.values)
