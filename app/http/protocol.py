"""uvicorn's HTTP protocol with a limit on heads: its parser, httptools, keeps a header of any length in memory.

One connection without a token could otherwise fill the machine's memory, and keep this process busy joining
the pieces. h11, which has such a limit, takes several times the processor time for a large push.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers, and of a chunked body's trailers."""


class BoundedProtocol(HttpToolsProtocol):
    """Counts what was received since the parser last made something of it; headers alone are not that."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._undigested = 0

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._undigested += len(data)
        super().data_received(data)
        if self._undigested > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"A request's head has at most {MAX_HEAD_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        self._undigested = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._undigested = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._undigested = 0
        super().on_message_complete()
