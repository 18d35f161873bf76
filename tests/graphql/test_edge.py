"""What the endpoint refuses, and what it never lets out."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from app.db import Database
from app.graphql.asgi import MAX_BODY_BYTES
from app.graphql.limits import MAX_ALIASES, MAX_DEPTH
from app.organizations import service as organizations
from tests.graphql.conftest import Api
from tests.services.conftest import World

INTROSPECTION = "{ __schema { queryType { name } types { name } } }"


async def test_without_a_token_the_schema_can_be_read_and_nothing_else(
    api: Api, world: World
) -> None:
    response = await api.post(INTROSPECTION)
    assert response.json()["data"]["__schema"]["queryType"] == {"name": "Query"}
    response = await api.post("{ viewer { user { name } } }")
    assert response.json()["data"] == {"viewer": None}
    for document in (
        "{ organizations { totalCount } }",
        '{ organization(slug: "acme") { id } }',
        '{ resource(path: "acme") { id } }',
        f'{{ node(id: "{world.acme.id}") {{ id }} }}',
        f'{{ branchMatch(projectId: "{world.storefront.id}", branch: "main") {{ reason }} }}',
        "{ serverInfo { version } }",
        "{ reconcilers { name } }",
        'mutation { organizationCreate(input: {slug: "x"}) { userErrors { code } } }',
    ):
        (error,) = await api.errors(document)
        assert error["extensions"]["code"] == "UNAUTHENTICATED", document
        assert "Bearer" in error["extensions"]["hint"]


async def test_a_token_that_is_no_good_refuses_the_whole_request(api: Api) -> None:
    for header in ("Bearer paas_wrong", "Bearer", "Basic YTpi", "Bearer \u00e9", "paas_x"):
        response = await api.http.post(
            "/graphql", json={"query": INTROSPECTION}, headers={b"Authorization": header.encode()}
        )
        assert response.status_code == 401, header
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_bug_is_masked_and_logged_once_under_the_request_id(
    api: Api,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(organizations, "create", broken)
    with caplog.at_level(logging.ERROR):
        response = await api.post(
            'mutation { organizationCreate(input: {slug: "globex"}) { organization { id } } }',
            as_=world.owner,
        )
    assert response.status_code == 200
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["extensions"]["requestId"] == response.headers["x-request-id"]
    (record,) = [record for record in caplog.records if record.exc_info]
    assert response.headers["x-request-id"] in record.getMessage()


async def test_with_the_database_gone_the_answer_says_so(api: Api, world: World) -> None:
    await api.token_of(world.owner)
    await api.platform.database.close()
    gone = Database("postgresql://nobody:nothing@127.0.0.1:9/none")
    object.__setattr__(api.platform, "database", gone)
    response = await api.post("{ organizations { totalCount } }", as_=world.owner)
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "EXTERNAL_FAILURE"
    assert "127.0.0.1" not in response.text


async def test_a_mistake_in_the_document_is_told_in_graphqls_words(api: Api, world: World) -> None:
    (error,) = await api.errors("{ organisations { id } }", as_=world.viewer)
    assert "Did you mean 'organizations'" in error["message"]
    (error,) = await api.errors("{ organizations {", as_=world.viewer)
    assert "Syntax Error" in error["message"]
    (error,) = await api.errors(
        "query ($n: Int) { organizations(first: $n) { totalCount } }", as_=world.viewer, n="x"
    )
    assert "Int cannot represent" in error["message"]
    (error,) = await api.errors(
        'mutation ($t: DateTime) { tokenCreate(input: {name: "x", expiresAt: $t}) { secret } }',
        as_=world.viewer,
        t="tomorrow",
    )
    assert "tomorrow" in error["message"]


def deep(levels: int) -> str:
    inner = "id"
    for _ in range(levels - 2):
        inner = f'... on Project {{ organization {{ project(slug: "x") {{ {inner} }} }} }}'
    return f'{{ resource(path: "acme/storefront") {{ {inner} }} }}'


async def test_a_document_is_refused_for_its_depth_aliases_or_length(
    api: Api, world: World
) -> None:
    (error,) = await api.errors(deep(MAX_DEPTH), as_=world.viewer)
    assert "levels deep" in error["message"]
    aliases = " ".join(f"a{number}: viewer {{ __typename }}" for number in range(MAX_ALIASES + 1))
    (error,) = await api.errors(f"{{ {aliases} }}", as_=world.viewer)
    assert f"more than {MAX_ALIASES} aliases" in error["message"]
    (error,) = await api.errors("{ " + "viewer { __typename } " * 1000 + "}", as_=world.viewer)
    assert "tokens" in error["message"]
    (error,) = await api.errors("{ " + "viewer { user { id } } " * 41 + "}", as_=world.viewer)
    assert "asks for viewer more than" in error["message"]
    nested = "{ " + ("viewer { " + "user { id } " * 9 + "} ") * 9 + "}"
    (error,) = await api.errors(nested, as_=world.viewer)
    assert "asks for user more than" in error["message"]
    (error,) = await api.errors("{" * 1400, as_=world.viewer)
    assert "Syntax Error" in error["message"] or "nested" in error["message"]


async def test_fragments_that_double_at_each_level_are_measured_and_not_walked(
    api: Api, world: World
) -> None:
    """2**80 visits for a limiter that walks each spread."""
    fragments = [
        f"fragment f{level} on Query {{ viewer {{ ...g{level} }} }} "
        f"fragment g{level} on Viewer {{ x {{ ...f{level + 1} }} y {{ ...f{level + 1} }} }}"
        for level in range(80)
    ]
    document = "{ ...f0 } " + " ".join(fragments) + " fragment f80 on Query { __typename }"
    (error,) = await api.errors(document, as_=world.viewer)
    assert "too large" in error["message"]
    spreads = [
        f"fragment f{level} on Query {{ ...f{level + 1} ...f{level + 1} }}" for level in range(80)
    ]
    document = "{ ...f0 } " + " ".join(spreads) + " fragment f80 on Query { __typename }"
    assert await api(document, as_=world.viewer) == {"__typename": "Query"}
    cycle = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"
    (error, *_) = await api.errors(cycle, as_=world.viewer)
    assert "spread" in error["message"]


async def test_pages_of_pages_stop_at_a_number_of_rows(
    api: Api, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.graphql.loaders.MAXIMUM_ROWS", 150)
    await world.app("one")
    await world.app("two")
    document = '{ resource(path: "acme/storefront") { ... on Project { apps { nodes { pushes(first: %d) { totalCount } } } } } }'
    await api(document % 75, as_=world.viewer)
    errors = await api.errors(document % 76, as_=world.viewer)
    assert {error["extensions"]["code"] for error in errors} == {"LIMIT_REACHED"}


async def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    response = await api.http.post(
        "/graphql",
        content=b"x" * (MAX_BODY_BYTES + 1),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "LIMIT_REACHED"


async def test_a_malformed_body_is_the_clients_mistake(api: Api) -> None:
    bodies = [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"query": 5}',
        b'{"query": ""}',
        b"\xff\xfe",
    ]
    bodies += [b'[{"query": "{ viewer { __typename } }"}]', b"[" * 100_000]
    bodies += [b'{"query": "{ __typename }", "variables": []}']
    for body in bodies:
        response = await api.http.post(
            "/graphql", content=body, headers={"Content-Type": "application/json"}
        )
        assert 400 <= response.status_code < 500 or "errors" in response.json(), body[:50]
        assert "INTERNAL" not in response.text, body[:50]


async def test_text_that_cannot_be_stored_is_refused_wherever_it_stands(
    api: Api, world: World
) -> None:
    by_variable = "query ($slug: String!) { organization(slug: $slug) { id } }"
    in_document = '{ organization(slug: "a\\u0000b") { id } }'
    for errors in (
        await api.errors(by_variable, as_=world.viewer, slug="a\0b"),
        await api.errors(in_document, as_=world.viewer),
    ):
        assert [error["extensions"]["code"] for error in errors] == ["INVALID"]
    response = await api.http.post(
        "/graphql",
        content=b'{"query": "query ($s: String!) { organization(slug: $s) { id } }", "variables": {"s": "\\ud800"}}',
        headers={"Content-Type": "application/json"},
    )
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID"


async def test_a_browser_is_shown_the_console_and_a_query_in_the_url_is_refused(api: Api) -> None:
    page = await api.http.get("/graphql", headers={"Accept": "text/html,*/*"})
    assert page.status_code == 200
    assert "query console" in page.text
    assert "//" not in page.text.split("<script>")[0].replace(
        "</", ""
    )  # loads nothing from anywhere
    assert "default-src 'none'" in page.headers["content-security-policy"]
    query = await api.http.get("/graphql", params={"query": "{ viewer { __typename } }"})
    assert query.status_code == 400
    assert (await api.http.put("/graphql")).status_code == 405


async def test_what_may_come_to_too_many_objects_is_refused_with_its_cost(
    api: Api, world: World
) -> None:
    deep = (
        "{ organizations { nodes { projects { nodes { apps { nodes { instances(first: $n) { nodes {"
    )
    query = f"query ($n: Int) {deep} id }} }} }} }} }} }} }} }} }}"
    small = (await api.post(query, {"n": 5}, as_=world.viewer)).json()
    assert "errors" not in small
    assert small["extensions"]["cost"]["objects"] < small["extensions"]["cost"]["maximum"]
    large = (await api.post(query, {"n": 2000}, as_=world.viewer)).json()
    (error,) = large["errors"]
    assert error["extensions"]["code"] == "LIMIT_REACHED"
    assert f"{large['extensions']['cost']['objects']:,}" in error["message"]
    assert f"{large['extensions']['cost']['maximum']:,}" in error["message"]
