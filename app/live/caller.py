"""A caller whose connection lasts: who it is is asked again whenever that may have changed.

A revoked or expired token, an ended session: the connection ends. A lost role: ``rousing`` wakes what is
open, which asks for its object again and finds it gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import select

from app.access.actor import Actor
from app.access.authenticate import Credential, identify
from app.db import Database, outage
from app.errors import PaasError, Unauthenticated
from app.models import ApiToken, UserSession
from app.reconcile.wake import Subscription, WakeListener
from app.settings import Settings

WAKE = "access"
"""Its keys are ids of tokens, sessions and users; sent by triggers on their tables, at commit."""
_ASKED_EVERY = 30.0
"""Seconds; a wake may be lost, and a session ends when it is idle, which is no change of anything."""
_ASKED_AGAIN = 1.0
"""Seconds, when the database did not answer."""


class Parts(Protocol):
    """What it needs of ``app.container.Container``."""

    @property
    def database(self) -> Database: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def wakes(self) -> WakeListener: ...


class Caller:
    """``actor`` is who it is now."""

    def __init__(self, parts: Parts, credential: Credential, actor: Actor) -> None:
        self.actor = actor
        self._parts = parts
        self._credential = credential
        self._open: set[Subscription] = set()

    @contextlib.contextmanager
    def rousing(self, subscription: Subscription) -> Iterator[None]:
        """Wake it when what the caller may do has changed."""
        self._open.add(subscription)
        try:
            yield
        finally:
            self._open.discard(subscription)

    async def until_refused(self) -> PaasError:
        """Returns why, once the credential is no good any more."""
        topics = [
            (WAKE, identifier)
            for identifier in (self.actor.token_id, self.actor.session_id, self.actor.user_id)
            if identifier is not None
        ]
        with self._parts.wakes.subscribe_to(topics) as woken:
            told = False
            while True:
                try:
                    seconds = await self._ask(told=told)
                except Unauthenticated as refusal:
                    return refusal
                except Exception as error:
                    if outage(error) is None:
                        raise
                    seconds = _ASKED_AGAIN
                told = await woken.wait(seconds)

    async def _ask(self, *, told: bool) -> float:
        """For how many seconds the answer holds, if nothing happens. Raises Unauthenticated.

        ``told``: something has changed.
        """
        async with self._parts.database.read_session() as session:
            found, _ = await identify(session, self._parts.settings, self._credential)
            row = UserSession if found.session_id is not None else ApiToken
            identifier = found.session_id or found.token_id
            expires_at = await session.scalar(select(row.expires_at).where(row.id == identifier))
        known = self.actor
        self.actor = replace(found, address=known.address, request_id=known.request_id)
        if told or self.actor != known:
            for subscription in self._open:
                subscription.event.set()
        if expires_at is None:
            return _ASKED_EVERY
        return min(_ASKED_EVERY, max(0.0, (expires_at - datetime.now(UTC)).total_seconds()) + 0.01)
