"""Who is asking, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.access.permissions import Permission
    from app.access.scope import Scope


@dataclass(frozen=True)
class Grant:
    """What a token was made for. It only ever takes away from what its user may do."""

    permissions: frozenset[Permission] | None = None
    """None: all that the user has. To see what it reaches, every token may."""
    scope: Scope | None = None
    """None: wherever the user may."""
    of_operator: bool = False
    """Its user operates the platform: what is not taken away, the token may."""

    def permits(self, permission: Permission) -> bool:
        return self.permissions is None or permission in self.permissions


@dataclass(frozen=True)
class Actor:
    """An authenticated caller. ``user_id`` is None only for the platform's own operator (the CLI)."""

    user_id: str | None
    name: str
    is_admin: bool = False
    """A platform operator: every permission in every organization. Never set together with ``grant``."""
    token_id: str | None = None
    session_id: str | None = None
    """Of the browser session that the request came in; set instead of ``token_id``."""
    grant: Grant | None = None
    """Set for a token that was made for less than all its user may do."""
    address: str | None = None
    """Where the request came from, as far as it is known."""
    request_id: str | None = None

    @property
    def has_every_role(self) -> bool:
        """An operator, also one whose token's grant takes something away again."""
        return self.is_admin or (self.grant is not None and self.grant.of_operator)


OPERATOR = Actor(user_id=None, name="operator", is_admin=True)
"""Whoever has a shell on the platform's machine: bootstraps the first user and token."""
