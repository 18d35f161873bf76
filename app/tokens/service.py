"""API tokens: bearer secrets of which only a hash is kept.

A secret has 256 random bits, so that one round of SHA-256 is enough to keep it: there is nothing to
guess, and a slow hash would only be paid on every request.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import OPERATOR, Actor
from app.access.find import Place
from app.access.permissions import Permission, require_unlimited
from app.access.scope import Scope
from app.access.users import of_actor
from app.audit import log
from app.audit.actions import Action
from app.db import Database, WriteSession
from app.errors import InvalidInput, NotFound, Unauthenticated
from app.ids import new_id
from app.models import ApiToken, Organization, User
from app.names import is_id, valid_display_name
from app.tokens import grants

PREFIX = "paas_"
_SHOWN = 10
"""Characters of the secret that are kept to recognise it by: the prefix and 5 of 43."""
_USE_RECORDED_EVERY = timedelta(minutes=1)


async def create(
    session: WriteSession,
    user: User,
    name: str,
    expires_at: datetime | None = None,
    *,
    permissions: Collection[Permission] | None = None,
    place: Place | Organization | None = None,
    actor: Actor = OPERATOR,
) -> tuple[ApiToken, str]:
    """A token, and its secret, which is shown this once.

    With ``permissions`` it may do these at most, with ``place`` only there; never more than its user may at
    the time. Raises InvalidInput for a past expiry.
    """
    if expires_at is not None and _aware(expires_at) <= datetime.now(UTC):
        raise InvalidInput("The token would have expired already.", field="expiresAt")
    secret = PREFIX + secrets.token_urlsafe(32)
    scope = Scope(place.id) if isinstance(place, Organization) else place and place.scope
    allowed = None if permissions is None else grants.completed(permissions)
    token = ApiToken(
        id=new_id("tok"),
        user_id=user.id,
        name=valid_display_name(name, default="token", field="name"),
        secret_hash=_hash(secret),
        secret_hint=secret[:_SHOWN],
        expires_at=expires_at,
        permissions=None if allowed is None else sorted(each.value for each in allowed),
        organization_id=scope and scope.organization_id,
        project_id=scope and scope.project_id,
        environment_id=scope and scope.environment_id,
        app_id=scope and scope.app_id,
    )
    session.add(token)
    await session.flush()
    told = f"Made the token {token.name!r} of {user.name}{_only(token)}."
    await log.record(session, actor, Action.TOKEN_CREATE, place, told, subject=token.id)
    return token, secret


def _only(token: ApiToken) -> str:
    return "" if token.permissions is None else f", for {', '.join(token.permissions)} only"


async def create_own(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    expires_at: datetime | None = None,
    permissions: Collection[Permission] | None = None,
    place: Place | Organization | None = None,
) -> tuple[ApiToken, str]:
    """A further token for whoever asks. Raises Forbidden for a token that was made for less itself."""
    require_unlimited(actor, "make tokens")
    user = await of_actor(session, actor)
    return await create(
        session, user, name, expires_at, permissions=permissions, place=place, actor=actor
    )


async def revoke(session: WriteSession, actor: Actor, token_id: str) -> ApiToken:
    """End a token at once. Its own user and operators may; to others it does not exist. Twice is fine.

    A token that was made for less than its user may ends none but itself.
    """
    token = await session.get(ApiToken, token_id) if is_id(token_id) else None
    own = token is not None and token.user_id == actor.user_id
    itself = actor.grant is None or token_id == actor.token_id
    if token is None or not (actor.is_admin or (own and itself)):
        raise NotFound("There is no such token.", hint="Only your own tokens can be seen.")
    if token.revoked_at is None:
        token.revoked_at = datetime.now(UTC)
        await session.flush()
        told = f"Revoked the token {token.name!r}."
        await log.record(session, actor, Action.TOKEN_REVOKE, None, told, subject=token.id)
    return token


async def authenticate(session: WriteSession, secret: str) -> Actor:
    """Who holds this secret.

    Raises Unauthenticated alike for a secret that is unknown, revoked or expired. The time of use is
    recorded at most once a minute, so that a busy token does not write a row per request.
    """
    token, actor = await _holder(session, secret)
    if _is_to_be_recorded(token):
        token.last_used_at = datetime.now(UTC)
        await session.flush()
    return actor


async def identify(session: AsyncSession, secret: str) -> tuple[Actor, bool]:
    """``authenticate`` without writing, and so without a transaction; whether its use is to be recorded."""
    token, actor = await _holder(session, secret)
    return actor, _is_to_be_recorded(token)


async def identify_at_once(database: Database, secret: str) -> tuple[Actor, bool]:
    """``identify`` without a session, whose making costs more than the rest of a small request."""
    token, actor = _admitted(await database.selects.first(_HOLDER, secret_hash=_hash(secret)))
    return actor, _is_to_be_recorded(token)


async def record_use(session: WriteSession, actor: Actor) -> None:
    statement = update(ApiToken).where(ApiToken.id == actor.token_id)
    await session.execute(statement.values(last_used_at=datetime.now(UTC)))


_HOLDER = (
    select(ApiToken, User)
    .join(User, ApiToken.user_id == User.id)
    .where(ApiToken.secret_hash == bindparam("secret_hash"))
)


async def _holder(session: AsyncSession, secret: str) -> tuple[ApiToken, Actor]:
    found = (await session.execute(_HOLDER, {"secret_hash": _hash(secret)})).one_or_none()
    return _admitted(None if found is None else (found[0], found[1]))


def _admitted(found: tuple[ApiToken, User] | None) -> tuple[ApiToken, Actor]:
    if found is None or not _is_valid(found[0], datetime.now(UTC)):
        raise Unauthenticated(
            "The token is not known, was revoked or has expired.",
            hint="Send 'Authorization: Bearer paas_…' with a token of `paas admin token create`.",
        )
    return found[0], grants.actor_of(found[0], found[1])


def _is_to_be_recorded(token: ApiToken) -> bool:
    used = token.last_used_at
    return used is None or datetime.now(UTC) - used >= _USE_RECORDED_EVERY


async def confirm(session: AsyncSession, actor: Actor) -> None:
    """For a request that took its time, say a slow push.

    Raises Unauthenticated when the actor's token was revoked or has expired since it was admitted.
    """
    if actor.token_id is None:
        return
    token = await session.get(ApiToken, actor.token_id, populate_existing=True)
    if token is None or not _is_valid(token, datetime.now(UTC)):
        raise _no_good()


def _no_good() -> Unauthenticated:
    return Unauthenticated(
        "The token is not known, was revoked or has expired.",
        hint="Send 'Authorization: Bearer paas_…' with a token of `paas admin token`.",
    )


def _is_valid(token: ApiToken, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidInput(
            "The time has no time zone.",
            field="expiresAt",
            hint="Write it as 2027-01-31T12:00:00Z.",
        )
    return moment
