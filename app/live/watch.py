"""What a subscription's resolver is made of: when to look again, and for how long it may.

No database session is held while it waits. Each look is a short session of its own, and asks for the object
as a query does: who may not see it any more gets the same NotFound, which ends the subscription.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from app.access.actor import Actor
from app.reconcile.wake import Subscription

if TYPE_CHECKING:
    from app.graphql.context import Context

T = TypeVar("T")
Topic = tuple[str, str]
"""Kind and key of a wake."""

LOOK_EVERY = 15.0
"""Seconds without a wake: one may be lost with the connection that it comes by."""


async def looks(
    context: Context, *topics: Topic, every: float = LOOK_EVERY
) -> AsyncGenerator[Actor, None]:
    """Yields who asks whenever it is time to look: at once, when a topic was woken, when rights changed.

    What the request's loaders have read is forgotten each time.
    """
    with waking(context, *topics) as woken:
        while True:
            yield refreshed(context)
            await woken.wait(every)


async def while_allowed(
    context: Context,
    allowed: Callable[[Actor], Awaitable[object]],
    stream: AsyncGenerator[T, None],
) -> AsyncGenerator[T, None]:
    """``stream``, until it ends, or until ``allowed`` raises: it is asked at first and when rights change."""
    with waking(context) as woken:
        await allowed(refreshed(context))
        roused: asyncio.Future[Any] = asyncio.ensure_future(woken.event.wait())
        coming: asyncio.Future[Any] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(stream))
                await asyncio.wait({coming, roused}, return_when=asyncio.FIRST_COMPLETED)
                if roused.done():
                    woken.event.clear()
                    await allowed(refreshed(context))
                    roused = asyncio.ensure_future(woken.event.wait())
                if coming.done():
                    done, coming = coming, None
                    try:
                        item = done.result()
                    except StopAsyncIteration:
                        return
                    yield item
        finally:
            await _end(roused, coming)
            await stream.aclose()


async def _end(*futures: asyncio.Future[Any] | None) -> None:
    left = [future for future in futures if future is not None]
    for future in left:
        future.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@contextlib.contextmanager
def waking(context: Context, *topics: Topic) -> Iterator[Subscription]:
    """Woken for the topics, and when what the caller may do has changed."""
    with contextlib.ExitStack() as stack:
        woken = stack.enter_context(context.container.wakes.subscribe_to(topics))
        if context.caller is not None:
            stack.enter_context(context.caller.rousing(woken))
        yield woken


def refreshed(context: Context) -> Actor:
    """Who asks, as of now, with nothing remembered of what was read before."""
    if context.caller is not None:
        context.actor = context.caller.actor
    context.forget()
    return context.require_actor()
