"""The commands at the head of a push, read as they stream by to git.

git itself records the boundary of a shallow push (typical of CI) when it moves the refs; since here a
hook moves them, the boundary is taken from the request and recorded by ``shallow.py``.
"""

from __future__ import annotations

from app.adapters.git.pktline import payload_length
from app.errors import InvalidInput

MAX_BYTES = 4 * 1024 * 1024
"""Room for some 30,000 refs; git holds all commands in memory."""


class PushHead:
    """``shallow`` is complete once git has been given the flush packet that ends the commands."""

    def __init__(self) -> None:
        self.shallow: list[str] = []
        self._buffer = bytearray()
        self._seen = 0
        self._complete = False

    def see(self, chunk: bytes) -> None:
        """Raises InvalidInput when the head is too long or not in git's format."""
        if self._complete:
            return
        self._buffer += chunk
        while not self._complete and len(self._buffer) >= 4:
            length = payload_length(bytes(self._buffer[:4]))
            if length < 0:
                self._complete = True
                self._buffer.clear()
            elif len(self._buffer) < length + 4:
                break
            else:
                self._line(bytes(self._buffer[4 : length + 4]))
                del self._buffer[: length + 4]

    def _line(self, payload: bytes) -> None:
        self._seen += len(payload) + 4
        if self._seen > MAX_BYTES:
            raise InvalidInput(
                "The push updates too many refs at once.",
                hint="Push fewer branches and tags a time.",
            )
        keyword, _, object_id = payload.rstrip(b"\n").partition(b" ")
        if keyword == b"shallow":
            self.shallow.append(object_id.decode("ascii", "replace"))
