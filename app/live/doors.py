"""How many connections may stay open at once: of one address, of one token or session, and in all.

Each is a few tens of kilobytes and some queries a minute, for as long as its client likes. Counted in this
process's memory, since that is what they take.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from app.access.actor import Actor
from app.errors import LimitReached
from app.settings import Settings


class Doors:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._of_address: Counter[str] = Counter()
        self._of_caller: Counter[str] = Counter()

    @property
    def open(self) -> int:
        return self._of_address.total()

    @contextlib.contextmanager
    def from_address(self, address: str) -> Iterator[None]:
        """Raises LimitReached."""
        if self.open >= self._settings.live_connections:
            raise LimitReached(
                f"This server holds {self.open} connections open, and no more.",
                hint="Try again in a moment.",
            )
        most = self._settings.live_connections_per_address
        with _counted(self._of_address, address, most, "your address"):
            yield

    @contextlib.contextmanager
    def of_actor(self, actor: Actor) -> Iterator[None]:
        """Raises LimitReached."""
        most = self._settings.live_connections_per_token
        name = actor.token_id or actor.session_id or actor.user_id or ""
        with _counted(self._of_caller, name, most, "this token"):
            yield


@contextlib.contextmanager
def _counted(counter: Counter[str], key: str, most: int, whose: str) -> Iterator[None]:
    if counter[key] >= most:
        raise LimitReached(
            f"{most} connections of {whose} are open, and no more may be.",
            hint="Close some, or use one WebSocket for many subscriptions.",
        )
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
