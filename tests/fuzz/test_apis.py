"""Whatever is sent to either API: no 5xx, no trace of the code, nothing of another tenant.

``make test`` tries a few requests for each operation, always the same; ``make fuzz`` many, each time others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, strategies
from schemathesis.core.result import Ok

from app.db import Database
from app.graphql.schema import sdl
from tests.cli.world import Terminal, terminal

EXAMPLES = int(os.environ.get("PAAS_FUZZ_EXAMPLES", "0"))
HIDDEN = "zq-hidden"
"""In the name of everything of the other tenant."""
LEAKS = (HIDDEN, "Traceback (most recent", 'File "/', "sqlalchemy", "asyncpg")

pytestmark = pytest.mark.slow


def bounded(few: int) -> settings:
    return settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True)
class Target:
    host: str
    token: str
    known: dict[str, list[str]]
    """Names of our own and of the other tenant, by the kind of path parameter: a random one finds nothing."""


@pytest.fixture
async def target(database: Database, tmp_path: Path) -> AsyncIterator[Target]:
    async with terminal(database, tmp_path) as world:
        theirs = await _tenant(
            world, world.token, f"{HIDDEN}-org", f"{HIDDEN}-prj", f"{HIDDEN}-app"
        )
        token = await world.token_of("mallory")
        ours = await _tenant(world, token, "mine", "shop", "web")
        yield Target(
            host=world.host,
            token=token,
            known={name: [ours[name], theirs[name]] for name in ours},
        )


async def _tenant(
    world: Terminal, token: str, organization: str, project: str, app: str
) -> dict[str, str]:
    async with httpx2.AsyncClient(
        base_url=f"{world.host}/api", headers={"Authorization": f"Bearer {token}"}
    ) as http:
        for path, body in (
            ("/orgs", {"slug": organization}),
            (f"/orgs/{organization}/projects", {"slug": project}),
            (f"/orgs/{organization}/projects/{project}/apps", {"slug": app}),
        ):
            answer = await http.post(path, json=body)
            assert answer.status_code == 201, answer.text
    return {"org": organization, "project": project, "app": app, "env": "production"}


def unharmed(status: int, text: str, sent: str) -> None:
    """``sent`` may come back in an error: what was asked with is no leak."""
    assert status < 500, f"{status} for {sent}: {text[:500]}"
    found = [leak for leak in LEAKS if leak in text and leak not in sent]
    assert not found, f"{found} in the answer to {sent}: {text[:500]}"


async def test_rest_withstands_anything_that_fits_its_description(target: Target) -> None:
    await asyncio.to_thread(_fuzz_rest, target)


def _fuzz_rest(target: Target) -> None:
    schema = schemathesis.openapi.from_url(f"{target.host}/api/openapi.json")
    headers = {"Authorization": f"Bearer {target.token}"}
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @bounded(4)
        @given(
            case=operation.as_strategy(), pick=st.lists(st.integers(0, 2), min_size=8, max_size=8)
        )
        def attempt(case: Any, pick: list[int]) -> None:
            for number, name in enumerate(case.path_parameters or {}):
                names = target.known.get(name, [])
                if pick[number] < len(names):
                    case.path_parameters[name] = names[pick[number]]
            answer = case.call(headers=headers, timeout=30)
            sent = f"{case.method} {case.formatted_path} {case.body!r} {case.query!r}"
            unharmed(answer.status_code, answer.text, sent)

        attempt()
        tried += 1
    assert tried > 40


_SCALARS = {
    "DateTime": st.sampled_from(
        ["2026-01-01T00:00:00Z", "x", "2026-01-01T00:00:00", "9999-12-31T23:59:59+14:00"]
    ).map(nodes.String),
    "Long": st.integers(-(2**63), 2**63).map(nodes.Int),
    "JSON": st.just(nodes.String("{}")),
}


@pytest.mark.parametrize(
    "make", [strategies.queries, strategies.mutations], ids=["queries", "mutations"]
)
async def test_graphql_withstands_any_document(target: Target, make: Callable[..., Any]) -> None:
    await asyncio.to_thread(_fuzz_graphql, target, make)


def _fuzz_graphql(target: Target, make: Callable[..., Any]) -> None:
    headers = {"Authorization": f"Bearer {target.token}"}
    with httpx2.Client(base_url=target.host, headers=headers, timeout=30) as http:

        @bounded(60)
        @given(document=make(sdl(), custom_scalars=_SCALARS))
        def attempt(document: str) -> None:
            answer = http.post("/graphql", json={"query": document})
            unharmed(answer.status_code, answer.text, document)
            for error in answer.json().get("errors") or ():
                code = (error.get("extensions") or {}).get("code")
                assert code != "INTERNAL", f"{error} for {document}"

        attempt()


async def test_graphql_withstands_what_is_no_document(target: Target) -> None:
    headers = {"Authorization": f"Bearer {target.token}"}

    def fuzz() -> None:
        with httpx2.Client(base_url=target.host, headers=headers, timeout=30) as http:

            @bounded(100)
            @given(body=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
            def raw(body: bytes) -> None:
                answer = http.post(
                    "/graphql", content=body, headers={"Content-Type": "application/json"}
                )
                unharmed(answer.status_code, answer.text, repr(body))

            @bounded(100)
            @given(
                query=st.text(alphabet='{}()[]:!$@"\\#.&|=,\ufeff\u202e aφ1\n…', max_size=200),
                variables=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
            )
            def text(query: str, variables: dict[str, str]) -> None:
                answer = http.post("/graphql", json={"query": query, "variables": variables})
                unharmed(answer.status_code, answer.text, query)

            raw()
            text()

    await asyncio.to_thread(fuzz)
