"""Who is let in, what is refused and how, and that the description cannot differ from the routes."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.db import Database
from app.rest import ENDPOINTS
from app.rest.endpoint import Endpoint, Nothing
from app.rest.openapi import document
from tests.conftest import free_port
from tests.rest.conftest import Api, Client, transport

PROJECTS = "/api/orgs/acme/projects/"
STOREFRONT = PROJECTS + "storefront"
PARTS = {
    "org": "acme",
    "project": "storefront",
    "env": "staging",
    "app": "web",
    "name": "A",
    "number": "1",
    "user": "vera",
    "token": "tok_" + "0" * 26,
    "invitation": "inv_" + "0" * 26,
    "webhook": "whk_" + "0" * 26,
    "delivery": "whd_" + "0" * 26,
}
SCOPED = [endpoint for endpoint in ENDPOINTS if "{org}" in endpoint.path]


def _path(endpoint: Endpoint) -> str:
    return endpoint.path.format(**PARTS)


def _body(endpoint: Endpoint) -> dict[str, Any] | None:
    if not endpoint.takes_body:
        return None
    given: dict[str, dict[str, Any]] = {
        "create_project": {"slug": "x"},
        "create_environment": {"slug": "x", "branchPattern": "x"},
        "create_app": {"slug": "x"},
        "set_preview_rule": {"branchPattern": "pr-*", "sourceEnvironment": "staging"},
        "create_invitation": {"email": "ida@example.com", "role": "viewer"},
        "create_webhook": {"url": "https://example.com/"},
        "set_remote": {"host": "github", "url": "https://example.com/a/b"},
        "set_member": {"role": "viewer"},
        "set_project_member": {"role": "viewer"},
        "protect_environment": {"roles": ["admin"]},
        "set_env_var": {"value": "1"},
        "set_scale": {"replicas": 2},
        "deploy_branch": {"ref": "main"},
        "promote_deployment": {"toEnvironment": "production"},
    }
    return given.get(endpoint.name, {})


async def test_to_another_tenant_every_endpoint_answers_as_if_nothing_were_there(
    web: Api,
) -> None:
    for endpoint in SCOPED:
        answers = []
        for organization in ("acme", "no-such"):
            path = endpoint.path.format(**{**PARTS, "org": organization})
            error = await web.stranger.error(endpoint.method, path, _body(endpoint))
            assert (error["status"], error["code"]) == (404, "NOT_FOUND"), endpoint
            answers.append(error)
        assert answers[0] == answers[1], endpoint


async def test_a_viewer_may_do_none_of_what_changes_something(web: Api) -> None:
    web.commits.add("main")
    await web.developer.ok("POST", _path_of("create_deployment"), {"ref": "main"})
    for endpoint in SCOPED:
        leaves = endpoint.name in {"remove_member", "remove_project_member", "revoke_invitation"}
        if endpoint.method == "GET" or leaves:
            continue
        error = await web.viewer.error(endpoint.method, _path(endpoint), _body(endpoint))
        assert (error["status"], error["code"]) == (403, "FORBIDDEN"), endpoint


def _path_of(name: str) -> str:
    return next(_path(endpoint) for endpoint in ENDPOINTS if endpoint.name == name)


async def test_without_a_token_there_is_nothing(web: Api) -> None:
    headers = ("", "Bearer", "Bearer ", "Bearer paas_wrong", "Basic dXNlcjpwYXNz", "\x7f")
    for endpoint in ENDPOINTS:
        for header in headers:
            response = await web.http.request(
                endpoint.method, _path(endpoint), headers={"Authorization": header}
            )
            assert response.status_code == 401, (endpoint, header)
            assert response.json()["error"]["code"] == "UNAUTHENTICATED"
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


MALFORMED: list[tuple[bytes, int, str | None]] = [
    (b"", 422, None),
    (b"{", 400, None),
    (b"not json", 400, None),
    (b"\xff\xfe", 400, None),
    (b'{"slug":"\xff"}', 400, None),
    (b'{"slug":"\\ud800"}', 400, None),
    (b"[]", 422, None),
    (b"null", 422, None),
    (b'"x"', 422, None),
    (b"[" * 100_000, 422, None),
    (b'{"slug":1}', 422, "slug"),
    (b'{"slug":null}', 422, "slug"),
    (b'{"slug":["a"]}', 422, "slug"),
    (b'{"slug":"a","nope":1}', 422, "nope"),
    (b'{"slug":"a","display_name":"x"}', 422, "display_name"),
    (b'{"slug":"-a"}', 422, "slug"),
    ('{"slug":"\u0430cme"}'.encode(), 422, "slug"),
    (b'{"slug":"a","displayName":"x\\u0000"}', 422, "displayName"),
    (b'{"slug":"%s"}' % (b"a" * 10_000), 422, "slug"),
]


async def test_a_malformed_body_is_refused_with_the_field(api: Api) -> None:
    for raw, status, field in MALFORMED:
        answered, answer = await api.owner("POST", PROJECTS, raw=raw)
        assert answered == status, raw[:100]
        assert (answer["error"]["code"], answer["error"]["field"]) == ("INVALID", field), raw[:100]
    assert (await api.owner.ok("GET", PROJECTS))["projects"] == []


async def test_a_variable_of_10_mb_is_refused_whether_announced_or_streamed(web: Api) -> None:
    body = json.dumps({"value": "v" * 10_000_000}).encode()
    path = _path_of("set_env_var")
    status, answer = await web.owner("PUT", path, raw=body)
    assert (status, answer["error"]["code"]) == (413, "TOO_LARGE")
    assert "1,048,576" in answer["error"]["message"]

    def stream() -> Iterator[bytes]:
        yield from (body[at : at + 65536] for at in range(0, len(body), 65536))

    async def chunks() -> Any:
        for chunk in stream():
            yield chunk

    headers = {"Authorization": f"Bearer {web.owner.secret}"}
    response = await web.http.request("PUT", path, content=chunks(), headers=headers)
    assert response.status_code == 413
    assert await web.owner.ok("GET", _path_of("list_env_vars")) == {"envVars": []}


async def test_a_value_over_its_limit_says_the_limit(web: Api) -> None:
    error = await web.owner.error("PUT", _path_of("set_env_var"), {"value": "v" * 40_000})
    assert (error["status"], error["code"], error["field"]) == (429, "LIMIT_REACHED", "A")
    assert "32,768" in error["message"]


async def test_a_name_that_no_variable_can_have_is_refused(web: Api) -> None:
    for name in ["PORT", "PAAS_X", "1A", "A-B", "A%20B", "A%00", "%D0%90", "A" * 300]:
        path = _path_of("list_env_vars") + name
        assert (await web.owner.error("PUT", path, {"value": "1"}))["code"] == "INVALID", name
        assert (await web.owner.error("GET", path))["code"] == "NOT_FOUND", name
        assert (await web.owner.error("DELETE", path))["code"] == "NOT_FOUND", name


async def test_a_malformed_slug_in_a_path_is_not_found(web: Api) -> None:
    for slug in ("-x", "ACME", "%00", "%D0%B0cme", "x" * 5000, "'--"):
        for path in (f"/api/orgs/{slug}", f"{PROJECTS}{slug}", f"{STOREFRONT}/apps/{slug}"):
            assert (await web.owner.error("GET", path))["code"] == "NOT_FOUND", path[:100]


async def test_a_malformed_query_is_refused(web: Api) -> None:
    for query in [
        "?limit=0",
        "?limit=101",
        "?limit=x",
        "?nope=1",
        "?before=-1",
        "?before=9999999999999",
    ]:
        error = await web.owner.error("GET", _path_of("list_deployments") + query)
        assert error["code"] in {"INVALID", "NOT_FOUND"}, query


async def test_what_is_nowhere_is_json_too(api: Api) -> None:
    for path in ("/api", "/api/", "/api/nothing", "/api/orgs/acme/nothing/"):
        assert (await api.owner.error("GET", path))["status"] == 404
    wrong = await api.owner.error("DELETE", "/api/orgs/")
    assert (wrong["status"], wrong["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET, POST" in wrong["hint"]


async def test_a_request_keeps_its_id_or_gets_one(api: Api) -> None:
    await api.owner("GET", "/api/orgs/", headers={"X-Request-Id": "trace-7"})
    assert api.owner.last.headers["X-Request-Id"] == "trace-7"
    for hostile in ("a b", "x" * 65, "{}"):
        await api.owner("GET", "/api/orgs/", headers={"X-Request-Id": hostile})
        assert re.fullmatch(r"req_\w{26}", api.owner.last.headers["X-Request-Id"])


async def test_a_bug_is_masked_and_logged_under_the_request_id(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> object:
        raise RuntimeError("the password is sesame")

    monkeypatch.setattr("app.rest.organizations.queries.list_visible", broken)
    with caplog.at_level(logging.ERROR):
        error = await api.owner.error("GET", "/api/orgs/")
    request_id = api.owner.last.headers["X-Request-Id"]
    assert (error["status"], error["code"]) == (500, "INTERNAL")
    assert "sesame" not in str(error)
    assert request_id in error["hint"]
    [record] = [r for r in caplog.records if r.name.startswith("app.rest")]
    assert request_id in record.getMessage()
    assert record.exc_info


async def test_without_a_database_the_answer_is_typed(api: Api) -> None:
    gone = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    async with transport(replace(api.wiring, database=gone)) as http:
        error = await Client(http, api.owner.secret).error("GET", "/api/orgs/")
    assert (error["status"], error["code"]) == (503, "EXTERNAL_FAILURE")
    await gone.close()


async def test_of_the_same_creation_sent_at_once_one_is_accepted(api: Api) -> None:
    responses = await asyncio.gather(
        *(api.http.request(
            "POST", PROJECTS, json={"slug": "one"},
            headers={"Authorization": f"Bearer {api.owner.secret}"},
        ) for _ in range(6))
    )  # fmt: skip
    assert sorted(response.status_code for response in responses) == [201] + [409] * 5
    codes = {r.json()["error"]["code"] for r in responses if r.status_code == 409}
    assert codes == {"TAKEN"}


async def test_head_is_answered_as_get(api: Api) -> None:
    status, _ = await api.owner("HEAD", "/api/orgs/")
    assert status == 200


async def test_the_description_has_every_route_and_every_reference_resolves(api: Api) -> None:
    response = await api.http.get("/api/openapi.json")
    described = response.json()
    assert described["openapi"] == "3.1.0"
    listed = {
        (method.upper(), path) for path, item in described["paths"].items() for method in item
    }
    assert listed == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    schemas = described["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', response.text):
        assert name in schemas
    operations = [op for item in described["paths"].values() for op in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"].endswith(".") for operation in operations)


def test_names_on_the_wire_are_camel_case_and_unique() -> None:
    types = {t for e in ENDPOINTS for t in (e.input, e.answer) if t not in (None, Nothing)}
    assert len({t.__name__ for t in types if t}) == len(types)
    schemas = document(ENDPOINTS)["components"]["schemas"]
    for schema in schemas.values():
        for name in schema.get("properties", {}):
            assert "_" not in name
