"""Whoever is connected is told when what they may do has changed: sockets and streams outlive a request."""

from __future__ import annotations

from app.db import WriteSession

WAKE = "access"
"""The kind of the wake; its keys are ids of tokens, sessions and users."""


async def changed(session: WriteSession, *identifiers: str | None) -> None:
    """At commit, connections of these are judged again: within a second, what may not go on has ended."""
    for identifier in identifiers:
        if identifier is not None:
            await session.wake(WAKE, identifier)
