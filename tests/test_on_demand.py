"""The application that its first request loads."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope, Send

from app.http.on_demand import Make, OnDemand


class Application:
    def __init__(self) -> None:
        self.requests = 0
        self.stopped = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1

    def stop(self) -> None:
        self.stopped = True


async def receive() -> Message:
    return {"type": "http.disconnect"}


async def send(message: Message) -> None:
    """Nobody listens."""


async def test_the_first_requests_load_it_once_and_all_reach_it() -> None:
    made: list[Application] = []

    def make() -> Application:
        made.append(Application())
        return made[-1]

    def load() -> Make:
        return make

    application = OnDemand(load)
    application.stop()
    assert made == []
    await asyncio.gather(*(application({}, receive, send) for _ in range(3)))
    assert [one.requests for one in made] == [3]
    application.stop()
    assert made[0].stopped
