"""What a token was made for, as its row says it."""

from __future__ import annotations

from collections.abc import Collection

from app.access.actor import Actor, Grant
from app.access.permissions import Permission
from app.access.scope import Scope
from app.models import ApiToken, User


def actor_of(token: ApiToken, user: User) -> Actor:
    """Whoever holds the token's secret. With a grant nobody is an operator, only an operator's token."""
    grant = grant_of(token, user)
    return Actor(
        user_id=user.id,
        name=user.name,
        is_admin=user.is_admin and grant is None,
        token_id=token.id,
        grant=grant,
    )


def grant_of(token: ApiToken, user: User) -> Grant | None:
    """None: all that its user may."""
    scope = scope_of_token(token)
    if token.permissions is None and scope is None:
        return None
    known = {permission.value for permission in Permission}
    return Grant(
        permissions=None
        if token.permissions is None
        else frozenset(Permission(each) for each in token.permissions if each in known),
        scope=scope,
        of_operator=user.is_admin,
    )


def scope_of_token(token: ApiToken) -> Scope | None:
    if token.organization_id is None:
        return None
    return Scope(token.organization_id, token.project_id, token.environment_id, token.app_id)


def completed(permissions: Collection[Permission]) -> frozenset[Permission]:
    """To see what it reaches, every token may; and one that deploys may push, which is how code is deployed."""
    found = frozenset(permissions) | {Permission.READ}
    return found | {Permission.CODE_PUSH} if Permission.DEPLOY in found else found
