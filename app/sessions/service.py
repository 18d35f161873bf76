"""Sessions of browsers: an opaque secret in a cookie, of which only a hash is kept.

A session ends when it is signed out or revoked, when its user's password changes, when it was not used for
``PAAS_SESSION_IDLE_HOURS``, and ``PAAS_SESSION_MAX_HOURS`` after it began. Whoever signs in is given a new
one, so that a cookie that somebody planted beforehand is worth nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.secrets import hash_of, new_secret
from app.audit import log
from app.audit.actions import Action
from app.db import Database, WriteSession
from app.errors import Forbidden, NotFound, Unauthenticated
from app.ids import new_id
from app.models import User, UserSession
from app.names import is_id
from app.settings import Settings

PREFIX = "paass_"
_USE_RECORDED_EVERY = timedelta(minutes=1)
"""A busy page does not write a row per request."""
_MAX_PER_USER = 50
"""The longest unused go first."""


async def start(
    session: WriteSession, settings: Settings, user: User, *, address: str, user_agent: str
) -> tuple[UserSession, str]:
    """A new session, and the secret for its cookie."""
    now = datetime.now(UTC)
    secret = new_secret(PREFIX)
    row = UserSession(
        id=new_id("ses"),
        user_id=user.id,
        secret_hash=hash_of(secret),
        address=address[:64],
        user_agent=_one_line(user_agent)[:300],
        last_used_at=now,
        expires_at=now + timedelta(hours=settings.session_max_hours),
    )
    await _prune(session, settings, user.id, now)
    session.add(row)
    actor = Actor(user_id=user.id, name=user.name, address=address or None)
    what = f"{user.name} signed in."
    await log.record(session, actor, Action.SESSION_START, None, what, subject=row.id)
    await session.flush()
    return row, secret


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


async def _prune(session: WriteSession, settings: Settings, user_id: str, now: datetime) -> None:
    """Everybody's that have ended, and what this user has too many of."""
    idle_since = now - timedelta(hours=settings.session_idle_hours)
    ended = (UserSession.expires_at <= now) | (UserSession.last_used_at <= idle_since)
    await session.execute(delete(UserSession).where(ended))
    kept = (
        select(UserSession.id)
        .where(UserSession.user_id == user_id)
        .order_by(UserSession.last_used_at.desc())
        .limit(_MAX_PER_USER - 1)
    )
    too_many = (UserSession.user_id == user_id) & UserSession.id.not_in(kept.scalar_subquery())
    await session.execute(delete(UserSession).where(too_many))


_HOLDER = (
    select(UserSession, User)
    .join(User, UserSession.user_id == User.id)
    .where(UserSession.secret_hash == bindparam("secret_hash"))
)


async def identify(session: AsyncSession, settings: Settings, secret: str) -> tuple[Actor, bool]:
    """Who holds this secret, and whether its use is to be recorded, in one SELECT.

    Raises Unauthenticated alike for every one that is no good.
    """
    found = (await session.execute(_HOLDER, {"secret_hash": hash_of(secret)})).one_or_none()
    return _admitted(settings, None if found is None else (found[0], found[1]))


async def identify_at_once(
    database: Database, settings: Settings, secret: str
) -> tuple[Actor, bool]:
    """``identify`` without a session of SQLAlchemy's, as in ``app/tokens/service.py``."""
    return _admitted(settings, await database.selects.first(_HOLDER, secret_hash=hash_of(secret)))


def _admitted(settings: Settings, found: tuple[UserSession, User] | None) -> tuple[Actor, bool]:
    if found is None or not is_valid(found[0], settings, datetime.now(UTC)):
        raise Unauthenticated(
            "You are signed out: the session has ended or was revoked.", hint="Sign in again."
        )
    row, user = found
    actor = Actor(user_id=user.id, name=user.name, is_admin=user.is_admin, session_id=row.id)
    return actor, datetime.now(UTC) - row.last_used_at >= _USE_RECORDED_EVERY


def is_valid(row: UserSession, settings: Settings, now: datetime) -> bool:
    idle = now - row.last_used_at
    return now < row.expires_at and idle < timedelta(hours=settings.session_idle_hours)


async def record_use(session: WriteSession, session_id: str, address: str) -> None:
    statement = update(UserSession).where(UserSession.id == session_id)
    await session.execute(statement.values(last_used_at=datetime.now(UTC), address=address[:64]))


async def confirm(session: AsyncSession, settings: Settings, session_id: str) -> None:
    """For a request that takes its time, say a subscription. Raises Unauthenticated once it has ended."""
    row = await session.get(UserSession, session_id, populate_existing=True)
    if row is None or not is_valid(row, settings, datetime.now(UTC)):
        raise Unauthenticated("The session has ended or was revoked.", hint="Sign in again.")


def require_whole(actor: Actor) -> None:
    """Raises Forbidden for a token that was made for less than its user may: it does not speak for the user."""
    if actor.grant is not None:
        raise Forbidden(
            "This token was made for less than its user may do; the user's account is not part of it.",
            hint="Sign in, or use a token without limits.",
        )


async def list_own(
    session: AsyncSession, settings: Settings, actor: Actor
) -> Sequence[UserSession]:
    """The actor's own that have not ended, the last used first."""
    require_whole(actor)
    now = datetime.now(UTC)
    statement = (
        select(UserSession)
        .where(
            UserSession.user_id == actor.user_id,
            UserSession.expires_at > now,
            UserSession.last_used_at > now - timedelta(hours=settings.session_idle_hours),
        )
        .order_by(UserSession.last_used_at.desc(), UserSession.id)
    )
    return (await session.scalars(statement)).all()


async def revoke(session: WriteSession, actor: Actor, session_id: str) -> UserSession:
    """End one at once. Its own user and operators may; to others it does not exist."""
    require_whole(actor)
    row = await session.get(UserSession, session_id) if is_id(session_id) else None
    if row is None or not (actor.is_admin or row.user_id == actor.user_id):
        raise NotFound("There is no such session.", hint="Only your own sessions can be seen.")
    await session.delete(row)
    what = "Signed out." if row.id == actor.session_id else "Ended a session."
    await log.record(session, actor, Action.SESSION_END, None, what, subject=row.id)
    await session.flush()
    return row


async def forget(session: WriteSession, secret_hash: bytes) -> None:
    """The session that a browser had before it signed in anew, if there was one."""
    await session.execute(delete(UserSession).where(UserSession.secret_hash == secret_hash))


async def end_all(session: WriteSession, user_id: str, *, but: str | None = None) -> int:
    """Every session of the user, but the one of this id. How many there were."""
    statement = delete(UserSession).where(UserSession.user_id == user_id)
    if but is not None:
        statement = statement.where(UserSession.id != but)
    ended = await session.scalars(statement.returning(UserSession.id))
    return len(ended.all())
