"""Subscriptions that go on where they were when the platform was away for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from app.cli.failures import Interrupted

Event = TypeVar("Event")

GIVE_UP_SECONDS = 60.0
"""Without an event, a platform that does not answer is not waited for any longer."""
_PAUSE_SECONDS = 0.5


def resumed(subscribe: Callable[[], Iterator[Event]]) -> Iterator[Event]:
    """``subscribe`` says where to go on from. Raises Interrupted when it stays away."""
    last = time.monotonic()
    while True:
        try:
            for event in subscribe():
                last = time.monotonic()
                yield event
                last = time.monotonic()
            return
        except Interrupted:
            if time.monotonic() - last > GIVE_UP_SECONDS:
                raise
            time.sleep(_PAUSE_SECONDS)
