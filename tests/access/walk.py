"""Trying deeds as somebody, and the letters of ``table.py`` for what came of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
    is_required_argument,
)

from app.access.actor import Actor
from app.graphql.context import Context
from app.graphql.errors import known_failure
from app.graphql.schema import core_schema, schema
from tests.access.people import World, filled

CODES = {"UNAUTHENTICATED": "!", "NOT_FOUND": ".", "FORBIDDEN": "-"}
DONE = frozenset({"PRECONDITION_FAILED", "DEFAULT_ENVIRONMENT", "CONFLICT"})
"""Refused for the state of the thing."""
AT_ONCE = 20
"""Mutations in one document."""


def letter_of(code: str | None) -> str:
    """Raises AssertionError for a failure that says nothing of who is asking."""
    if code in CODES:
        return CODES[code]
    assert code is None or code in DONE, code
    return "+"


Mutations = Sequence[tuple[str, str]]


async def mutation_letters(world: World, mutations: Mutations, who: str) -> list[str]:
    """Each by itself: a root field is a transaction. What is hidden is tried a second time, without being."""
    answers = await _mutate(world, mutations, who, world.ids)
    letters = [letter_of(None if each is None else each["code"]) for each in answers]
    hidden = [index for index, letter in enumerate(letters) if letter == "."]
    if hidden:
        await _as_what_never_was(world, mutations, answers, hidden, who)
    return letters


async def _as_what_never_was(
    world: World, mutations: Mutations, answers: list[Any], hidden: list[int], who: str
) -> None:
    """Of the ids that it names, one is answered exactly as an id that was never given out."""
    alike = {index: not _named(world, mutations[index][1]) for index in hidden}
    for name in world.ids:
        asked = [index for index in hidden if name in _named(world, mutations[index][1])]
        never = world.ids | {name: f"{world.ids[name].split('_')[0]}_{'z' * 26}"}
        found = await _mutate(world, [mutations[index] for index in asked], who, never)
        for index, answer in zip(asked, found, strict=True):
            alike[index] = alike[index] or answer == answers[index]
    told_apart = [mutations[index] for index, same in alike.items() if not same]
    assert not told_apart, (who, told_apart)


def _named(world: World, text: str) -> set[str]:
    return set(re.findall(r"\$(\w+)", text)) & set(world.ids)


async def _mutate(
    world: World, mutations: Mutations, who: str, ids: Mapping[str, str]
) -> list[Any]:
    """The first error of each; None without any."""
    found: list[Any] = []
    for start in range(0, len(mutations), AT_ONCE):
        asked = [
            f"m{index}: {name}{arguments} {{ userErrors {{ code message hint }} }}"
            for index, (name, arguments) in enumerate(mutations[start : start + AT_ONCE])
        ]
        answer = await world.graphql(f"mutation {{ {' '.join(asked)} }}", who, ids=ids)
        if "errors" in answer:
            found += [answer["errors"][0]["extensions"]] * len(asked)
            assert {each["extensions"]["code"] for each in answer["errors"]} == {"UNAUTHENTICATED"}
            continue
        payloads = [answer["data"][f"m{index}"]["userErrors"] for index in range(len(asked))]
        found += [payload[0] if payload else None for payload in payloads]
    return found


async def query_letter(world: World, name: str, document: str, who: str) -> str:
    answer = await world.graphql(document, who)
    if "errors" in answer:
        return letter_of(answer["errors"][0]["extensions"]["code"])
    return "." if answer["data"][name] in (None, [None]) else "+"


async def route_letter(
    world: World, method: str, path: str, body: Mapping[str, Any] | None, who: str
) -> str:
    response = await world.request(method, filled(path, world.ids), body, who)
    if response.status_code < 400:
        return "+"
    return letter_of(response.json()["error"]["code"])


async def subscription_letter(world: World, field: str, actor: Actor | None) -> str:
    """``+`` as soon as it answers, and also when it has nothing to say yet."""
    document = filled(f"subscription {{ {field} }}", world.ids)
    context = Context(world.platform, actor, "req_1")
    found = await schema.subscribe(document, context_value=context)
    if not isinstance(found, AsyncGenerator):
        return _letter_of_errors(getattr(found, "errors", None))
    try:
        async with asyncio.timeout(2):
            return _letter_of_errors((await anext(found)).errors)
    except StopAsyncIteration:
        return "+"
    finally:
        await found.aclose()


def _letter_of_errors(errors: Any) -> str:
    if not errors:
        return "+"
    told = errors[0].extensions or {}
    known = known_failure(errors[0].original_error or errors[0])
    return letter_of(told.get("code") if known is None else known.code)


LEAVES = (GraphQLScalarType, GraphQLEnumType)
ARGUMENTS = {
    "Organization.project": 'slug: "storefront"',
    "Organization.webhook": 'id: "$Webhook"',
    "Project.environment": 'slug: "staging"',
    "Project.app": 'slug: "web"',
    "App.instance": 'environment: "staging"',
    "Instance.metrics": 'input: {measurements: [COPIES], start: "2026-01-01T00:00:00Z"}',
}
"""Of fields that cannot do without."""


def selection_of(kind: GraphQLObjectType) -> str:
    """Every field of the type, each as deep as objects without an id of their own go."""
    node = core_schema().get_type("Node")
    parts = []
    for name, field in kind.fields.items():
        needed = any(is_required_argument(each) for each in field.args.values())
        given = f"({ARGUMENTS[f'{kind.name}.{name}']})" if needed else ""
        inner: Any = get_named_type(field.type)
        if isinstance(inner, LEAVES):
            parts.append(name + given)
        elif not isinstance(inner, GraphQLObjectType) or node in inner.interfaces:
            parts.append(f"{name}{given} {{ __typename }}")
        elif "pageInfo" in inner.fields:
            parts.append(f"{name}{given} {{ edges {{ cursor }} }}")
        else:
            parts.append(f"{name}{given} {{ {selection_of(inner)} }}")
    return " ".join(parts)


async def field_letters(world: World, kind: str, who: str) -> dict[str, str]:
    """By ``Type.field``; empty for who does not see the node, and ``!`` under the type's own name."""
    found: Any = core_schema().get_type(kind)
    document = f'{{ node(id: "${kind}") {{ ... on {kind} {{ {selection_of(found)} }} }} }}'
    answer = await world.graphql(document, who)
    assert all("path" in error for error in answer.get("errors", ())), (kind, who, answer)
    refused = {
        ".".join(str(part) for part in error["path"] if not isinstance(part, int)): error
        for error in answer.get("errors", ())
    }
    if "node" in refused:
        return {kind: letter_of(refused["node"]["extensions"]["code"])}
    if answer["data"]["node"] is None:
        return {kind: "."}
    letters = {kind: "+"}
    _read(letters, found, answer["data"]["node"], refused, "node")
    return letters


def _read(
    letters: dict[str, str], kind: GraphQLObjectType, value: Any, refused: Any, path: str
) -> None:
    for name, field in kind.fields.items():
        shown, here = value[name], f"{path}.{name}"
        if here in refused:
            letters[f"{kind.name}.{name}"] = letter_of(refused[here]["extensions"]["code"])
            continue
        empty = shown in (None, False, [], {"edges": []})
        letters[f"{kind.name}.{name}"] = "0" if empty else "+"
        inner: Any = get_named_type(field.type)
        first = shown[0] if isinstance(shown, list) and shown else shown
        known = isinstance(first, dict) and not {"__typename", "edges"} & set(first)
        if known and isinstance(inner, GraphQLObjectType):
            _read(letters, inner, first, refused, here)
