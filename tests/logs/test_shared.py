"""One execution of an event for all who asked the same."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import field
from typing import Any

import strawberry

from app.live.shared import Answers, SharingExecutor

_executed = 0


@strawberry.type
class Event:
    answers: strawberry.Private[Answers] = field(default_factory=Answers)

    @strawberry.field
    def number(self) -> int:
        global _executed
        _executed += 1
        return 7


@strawberry.type
class Query:
    nothing: int = 0


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def events(self, info: strawberry.Info) -> AsyncGenerator[Event, None]:
        yield info.context


SCHEMA = strawberry.Schema(
    Query, subscription=Subscription, execution_context_class=SharingExecutor,
    extensions=[lambda: strawberry.extensions.ParserCache()],
)  # fmt: skip


async def _ask(event: Event, document: str, **variables: Any) -> Any:
    stream = await SCHEMA.subscribe(document, variable_values=variables, context_value=event)
    return [result.data async for result in stream]


async def test_the_same_document_is_executed_once_for_an_event() -> None:
    global _executed
    _executed, event = 0, Event()
    document = "subscription { events { number } }"
    for _ in range(3):
        assert await _ask(event, document) == [{"events": {"number": 7}}]
    assert _executed == 1
    assert await _ask(event, "subscription { events { other: number } }") == [
        {"events": {"other": 7}}
    ]
    assert await _ask(Event(), document) == [{"events": {"number": 7}}]
    assert _executed == 3


async def test_what_hangs_on_a_variable_is_not_shared() -> None:
    event = Event()
    document = "subscription($is: Boolean!) { events { number @include(if: $is) __typename } }"
    shown = await _ask(event, document, **{"is": True})
    hidden = await _ask(event, document, **{"is": False})
    assert shown == [{"events": {"number": 7, "__typename": "Event"}}]
    assert hidden == [{"events": {"__typename": "Event"}}]
