"""Who was told a moment ago what a repository holds, and so is about to push to it.

A push is two requests. What the first found out, who asks and for which app, the second takes from here;
before anything is recorded, ``app/pushes/handler.py`` asks the database again, as for a push that took long.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence

from app.access.actor import Actor
from app.access.find import Place

_SECONDS = 10.0
_AT_MOST = 1000

_Key = tuple[bytes, tuple[str, ...]]


class Admissions:
    """Each may be taken once."""

    def __init__(self) -> None:
        self._admitted: OrderedDict[_Key, tuple[float, Actor, Place]] = OrderedDict()

    def note(self, secret: str, slugs: Sequence[str], actor: Actor, place: Place) -> None:
        self._admitted[_key(secret, slugs)] = (time.monotonic(), actor, place)
        while len(self._admitted) > _AT_MOST:
            self._admitted.popitem(last=False)

    def take(self, secret: str, slugs: Sequence[str]) -> tuple[Actor, Place] | None:
        since, actor, place = self._admitted.pop(_key(secret, slugs), _NOBODY)
        if actor is None or place is None or time.monotonic() - since > _SECONDS:
            return None
        return actor, place


_NOBODY = (0.0, None, None)


def _key(secret: str, slugs: Sequence[str]) -> _Key:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest(), tuple(slugs)
