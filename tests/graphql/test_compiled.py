"""The compiled way of answering against the loaders': the same bytes, for whoever asks whatever."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from sqlalchemy import select
from starlette.datastructures import Headers

from app import models
from app.access.actor import Actor, Grant
from app.access.scope import Scope
from app.crypto import SecretBox
from app.db import Database
from app.graphql import asgi
from app.graphql.asgi import Endpoint, graphql_app
from app.graphql.connection import encode_cursor
from app.graphql.node import reads_columns
from app.graphql.schema import core_schema
from app.graphql.sources import SOURCE, PageOf
from app.ids import new_id
from tests.factories import make_user
from tests.graphql.conftest import Platform
from tests.graphql.queries import random_query
from tests.graphql.test_statements import make_world

EXAMPLES = int(os.environ.get("PAAS_FUZZ_EXAMPLES", "120"))


def uncovered() -> frozenset[tuple[str, str]]:
    """Fields with Python code of their own: only Strawberry answers them."""
    found = set()
    for kind in core_schema().type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        if kind.name.endswith(("Connection", "Edge")) or kind.name == "PageInfo":
            continue
        origin = kind.extensions["strawberry-definition"].origin
        for name, each in kind.fields.items():
            declared = each.extensions["strawberry-definition"]
            leaf = is_leaf_type(get_named_type(each.type))
            plain = leaf and declared.is_basic_field and reads_columns(origin)
            if SOURCE not in declared.metadata and not plain:
                found.add((kind.name, name))
    return frozenset(found)


@dataclass
class Asker:
    """Sends one body to both endpoints, as an actor."""

    both: tuple[Endpoint, Endpoint]
    compiled: int = 0
    answered: int = 0
    actor: Actor | None = None

    async def ask(self, body: Mapping[str, Any]) -> tuple[bytes, bytes]:
        first, second = [await self._send(each, body) for each in self.both]
        return first, second

    async def _send(self, endpoint: Endpoint, body: Mapping[str, Any]) -> bytes:
        sent: list[bytes] = []
        packed = json.dumps(body).encode()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": packed, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))

        headers = Headers({"content-type": "application/json", "x-request-id": "req_same"}).raw
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
        }
        await endpoint(scope, receive, send)
        return b"".join(sent)


@pytest.fixture
async def asker(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Asker:
    both = (graphql_app(platform, compiled=False), graphql_app(platform))
    found = Asker(both)

    async def as_actor(_: Any) -> Actor | None:
        return found.actor

    async def counted(*arguments: Any) -> bytes | None:
        answer: bytes | None = await compiled(*arguments)
        found.compiled += 1
        found.answered += answer is not None
        return answer

    compiled = vars(asgi)["answer"]
    monkeypatch.setattr(asgi, "answer", counted)
    for endpoint in both:
        monkeypatch.setattr(endpoint, "_actor", as_actor)
    return found


@dataclass
class Populated:
    actors: list[Actor]
    values: dict[str, list[Any]] = field(default_factory=dict)
    cursors: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def of(self, kind: str, name: str, argument: str) -> Sequence[Any]:
        if argument in {"after", "before"}:
            return self.cursors.get((kind, name), [])
        return self.values.get(argument, [])


@pytest.fixture
async def populated(database: Database, secret_box: SecretBox) -> Populated:
    """Two tenants; one with everything that has a shape of its own."""
    made = await make_world(database, secret_box, name="many", size=2)
    other = await make_world(database, secret_box, name="other", size=1)
    async with database.write_transaction() as session:
        await _oddities(session)
    async with database.read_session() as session:
        organization = await session.scalar(
            select(models.Organization).where(models.Organization.slug == "many")
        )
        project = await session.get(models.Project, made.project)
        environment = await session.scalar(
            select(models.Environment).where(models.Environment.project_id == made.project)
        )
        app = await session.scalar(select(models.App).where(models.App.project_id == made.project))
        assert organization is not None
        assert project is not None
        assert environment is not None
        assert app is not None
    viewer = await make_user(database, organization, name="vera", role=models.Role.VIEWER)
    guest = Actor(user_id=new_id("usr"), name="guest")
    async with database.write_transaction() as session:
        session.add(models.User(id=guest.user_id, name="guest"))
        await session.flush()
        session.add(
            models.ProjectMembership(
                id=new_id("pmb"),
                project_id=project.id,
                user_id=guest.user_id,
                role=models.Role.DEVELOPER,
            )
        )
    scopes = [
        Scope(organization.id),
        Scope(organization.id, project.id),
        Scope(organization.id, project.id, environment.id),
        Scope(organization.id, project.id, None, app.id),
    ]
    actors = [made.actor, other.actor, viewer, guest, Actor(viewer.user_id, "root", is_admin=True)]
    actors += [
        Actor(made.actor.user_id, "many", token_id=new_id("tok"), grant=Grant(scope=scope))
        for scope in scopes
    ]
    found = Populated(actors)
    await _values(database, found)
    return found


async def _oddities(session: Any) -> None:
    """Texts that JSON escapes, moments without fractions, failures, deletions, a gap in what is nullable."""
    text = 'A "quoted" \\ line\nwith\ttabs, \x07 \x7f, ümlauts, \u2028 and 🚀 </script>'
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    deployments = (await session.scalars(select(models.Deployment))).all()
    for number, row in enumerate(deployments):
        if number % 3 == 0:
            row.commit_message, row.started_at = text, moment
            row.failure_code = models.FailureCode.CRASH_LOOP
            row.failure_log_tail = [text, "", "two"]
            row.failure_message = None if number % 2 else text
        if number % 4 == 0:
            row.build_id = row.push_id = row.user_id = None
            row.source_deployment_id = deployments[number // 2].id
    builds = (await session.scalars(select(models.Build))).all()
    for row in builds[::3]:
        row.failure_code, row.status = models.FailureCode.INTERNAL, models.BuildStatus.FAILED
        row.artifact_bytes = 2**40
    projects = (await session.scalars(select(models.Project))).all()
    projects[-1].deleted_at = moment
    projects[0].display_name = text
    environments = (await session.scalars(select(models.Environment))).all()
    environments[-1].deleted_at = moment
    releases = (await session.scalars(select(models.Release))).all()
    releases[0].env_digests = {"b": "1", "A": "2", "é": "3", "a": "4"}
    await session.flush()


async def _values(database: Database, found: Populated) -> None:
    rows: dict[Any, list[Any]] = {}
    async with database.read_session() as session:
        for kind in (
            models.Organization, models.Project, models.Environment, models.App, models.Instance,
            models.Deployment, models.Build, models.Push, models.Release, models.Membership,
            models.BuildLogLine, models.User,
        ):  # fmt: skip
            rows[kind] = list(await session.scalars(select(kind).limit(30)))
    of = {kind.__name__: rows[kind] for kind in rows}
    found.values = {
        "first": [0, 1, 2, 5, None],
        "last": [None, None, None, None, 0, 1, 3, -1],
        "slug": [*sorted({row.slug for kind in ("Organization", "Project", "Environment", "App") for row in of[kind]}), "No slug"],
        "environment": ["production", "staging", "nowhere"],
        "id": [row.id for kind in of for row in of[kind][:3] if hasattr(row, "id")] + ["ins_x", "%"],
        "path": ["many", "many/p-0", "many/p-0/web-0", "many/p-0/web-0/production", "/other/", "many//x", "a/b/c/d/e"],
        "includeDeleted": [True, False],
        "status": [None, [], ["SUCCEEDED"], ["FAILED", "QUEUED"]],
    }  # fmt: skip
    for shape in core_schema().type_map.values():
        if isinstance(shape, GraphQLObjectType) and not shape.name.startswith("__"):
            for name, each in shape.fields.items():
                source = getattr(each.extensions.get("strawberry-definition"), "metadata", {}).get(
                    SOURCE
                )
                if isinstance(source, PageOf) and source.listing.row in rows:
                    found.cursors[shape.name, name] = [
                        encode_cursor(source.listing, row) for row in rows[source.listing.row][:6]
                    ]


async def test_both_ways_answer_with_the_same_bytes(asker: Asker, populated: Populated) -> None:
    """The same queries each time, and with ``PAAS_FUZZ_EXAMPLES`` so many others."""
    schema, left_out = core_schema(), uncovered()
    fuzzing = "PAAS_FUZZ_EXAMPLES" in os.environ
    for number in range(EXAMPLES):
        seed = secrets.randbits(64) if fuzzing else number
        query = random_query(seed, schema, populated.of, left_out=left_out)
        asker.actor = populated.actors[seed % len(populated.actors)]
        by_loaders, compiled = await asker.ask(
            {"query": query.document, "variables": dict(query.variables)}
        )
        told = f"seed {seed}: {query.document}\n{query.variables}\n{asker.actor}"
        assert compiled == by_loaders, told
    assert asker.answered > asker.compiled / 2, "so few are compiled that this shows nothing"


DEEP = """query ($path: String!, $first: Int) { resource(path: $path) { ... on Project {
  organization { slug } apps(first: $first) { totalCount nodes { gitRemoteUrl instances { nodes {
    url scale { replicas } currentDeployment { number creator { name } steps { phase } }
    deployments(first: 2) { pageInfo { endCursor } nodes { commitMessage build { kind } } } } } } } } } }"""


async def test_a_compiled_query_is_one_statement_however_much_it_asks_for(
    asker: Asker, populated: Populated, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    row = database.selects.row

    async def counted(statement: str, *values: Any) -> Any:
        asked.append(statement)
        return await row(statement, *values)

    monkeypatch.setattr(database.selects, "row", counted)
    asker.actor = populated.actors[0]
    await asker.ask({"query": DEEP, "variables": {"path": "many/p-0"}})
    assert asker.answered == len(asked) == 1


async def test_a_plan_is_used_again_unless_its_shape_differs(
    asker: Asker, populated: Populated
) -> None:
    asker.actor = populated.actors[0]
    plans = asker.both[1]._plans
    assert plans is not None
    for first, path, made in [
        (1, "many/p-0", 1),
        (1, "many/p-1", 1),
        (2, "many/p-1", 2),
        (1, "x/y", 2),
    ]:
        by_loaders, compiled = await asker.ask(
            {"query": DEEP, "variables": {"path": path, "first": first}}
        )
        assert compiled == by_loaders
        operation = plans._operation(DEEP, None)
        assert operation is not None
        assert len(operation.plans) == made


async def test_what_has_code_of_its_own_is_answered_by_strawberry(
    asker: Asker, populated: Populated
) -> None:
    asker.actor = populated.actors[0]
    path = "many/p-0/web-0/production"
    for name in ("status", "envVars { value }", "containers { name }"):
        query = f'{{ resource(path: "{path}") {{ ... on Instance {{ {name} }} }} }}'
        by_loaders, compiled = await asker.ask({"query": query})
        assert compiled == by_loaders
        assert b'"errors"' not in compiled
    assert asker.answered == 0
    query = f'{{ resource(path: "{path}") {{ ... on Instance {{ envVars {{ name digest }} }} }} }}'
    by_loaders, compiled = await asker.ask({"query": query})
    assert compiled == by_loaders
    assert asker.answered == 1
