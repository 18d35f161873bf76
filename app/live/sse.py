"""GraphQL over server-sent events: a stream that ends with its credential, its server or its client.

One operation a request (``graphql-sse``, distinct connections): ``event: next`` with each result, then
``event: complete``. When the credential is no good any more a last ``next`` has only ``errors``. A server
that stops ends the stream without ``complete``, so that clients connect again. On a silent stream Strawberry
sends a comment every 15 seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from app.errors import PaasError
from app.graphql.errors import extensions_of
from app.live.caller import Caller


async def until_refused(
    stream: AsyncGenerator[str, None], caller: Caller, stopping: asyncio.Event
) -> AsyncGenerator[str, None]:
    """``stream`` until it ends, the caller is refused, or the server stops."""
    refused = asyncio.ensure_future(caller.until_refused())
    stopped = asyncio.ensure_future(stopping.wait())
    coming: asyncio.Future[str] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(stream))
            await asyncio.wait({coming, refused, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                return
            if refused.done():
                yield _refusal(refused.result())
                return
            try:
                text = coming.result()
            except StopAsyncIteration:
                return
            yield text
    finally:
        left = [future for future in (refused, stopped, coming) if future is not None]
        for future in left:
            future.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await stream.aclose()


def _refusal(error: PaasError) -> str:
    told = {"errors": [{"message": error.message, "extensions": extensions_of(error)}]}
    return f"event: next\r\ndata: {json.dumps(told)}\r\n\r\nevent: complete\r\ndata: \r\n\r\n"
