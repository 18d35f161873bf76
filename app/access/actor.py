"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """An authenticated caller. ``user_id`` is None only for the platform's own operator (the CLI)."""

    user_id: str | None
    name: str
    is_admin: bool = False
    """A platform operator: every permission in every organization."""
    token_id: str | None = None


OPERATOR = Actor(user_id=None, name="operator", is_admin=True)
"""Whoever has a shell on the platform's machine: bootstraps the first user and token."""
