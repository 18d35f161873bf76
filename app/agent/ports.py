"""Loopback ports for copies."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from app.errors import ExternalFailure

_FIRST, _LAST = 20000, 31999
"""Nomad's own range: below the ports that systems give to outgoing connections."""


class Ports:
    """Handed out in turn, so that a port just given back is the last to be used again: somebody may
    still be connecting to its former owner."""

    def __init__(self) -> None:
        self._next = random.randint(_FIRST, _LAST)

    def settle(self, wanted: int, used: Collection[int]) -> int:
        """``wanted`` if nothing has it, else a port that is nobody's. Raises ExternalFailure when there
        is none."""
        if wanted and is_free(wanted):
            return wanted
        for _ in range(_LAST - _FIRST + 1):
            port = self._next
            self._next = port + 1 if port < _LAST else _FIRST
            if port not in used and is_free(port):
                return port
        raise ExternalFailure(f"No port between {_FIRST} and {_LAST} is free on this machine.")


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
        except OSError:
            return False
    return True
