"""People who sign in: their passwords, and the links by which they first set one.

Hashing is slow and done outside of transactions; what was checked is checked again inside, where it could
have changed meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.permissions import require_operator
from app.access.secrets import hash_of, new_secret
from app.audit import log
from app.audit.actions import Action
from app.db import Database, WriteSession, flush_or
from app.errors import InvalidInput, NotFound, PreconditionFailed, Taken, Unauthenticated
from app.ids import new_id
from app.models import PasswordLink, User
from app.names import valid_display_name
from app.sessions import service as sessions
from app.settings import Settings
from app.users import passwords
from app.users.emails import valid_email

LINK_PREFIX = "paasp_"


@dataclass(frozen=True)
class Verified:
    """A user whose password was right a moment ago."""

    user_id: str
    password_hash: str
    rehashed: str | None


def valid_user_name(name: str) -> str:
    """A person's own choice. Without ``@``: nobody is to be called by somebody's address."""
    accepted = valid_display_name(name, default="", field="name")
    if not accepted or "@" in accepted:
        raise InvalidInput(
            "A user name has at least one character, and no '@'.",
            field="name",
            hint="You may sign in with your e-mail address all the same.",
        )
    return accepted


async def by_login(session: AsyncSession, login: str) -> User | None:
    """The user of this e-mail address; if there is none, of this name."""
    if "\0" in login or len(login) > 400:
        return None
    email, name = login.strip().lower(), login.strip()
    found = await session.scalars(select(User).where((User.email == email) | (User.name == name)))
    return min(found, key=lambda user: user.email != email, default=None)


async def verify(database: Database, login: str, password: str) -> Verified:
    """Raises Unauthenticated, with the same words and after the same time whatever was wrong."""
    async with database.read_session() as session:
        user = await by_login(session, login)
    stored = None if user is None else user.password_hash
    checked = await passwords.check(stored, password)
    if user is None or stored is None or not checked.matches:
        raise wrong_password()
    return Verified(user.id, stored, checked.rehashed)


def wrong_password() -> Unauthenticated:
    return Unauthenticated(
        "The name or the password is wrong.",
        hint="An operator can give you a link to set a new one: paas admin user password NAME.",
    )


async def admit(session: WriteSession, verified: Verified) -> User:
    """The user, locked. Raises Unauthenticated when the password was changed since it was verified."""
    user = await session.get(User, verified.user_id, with_for_update=True, populate_existing=True)
    if user is None or user.password_hash != verified.password_hash:
        raise wrong_password()
    if verified.rehashed is not None:
        user.password_hash = verified.rehashed
        await session.flush()
    return user


async def create(
    session: WriteSession,
    actor: Actor | None,
    *,
    name: str,
    email: str | None = None,
    password_hash: str | None = None,
    is_admin: bool = False,
) -> User:
    """A person. Without an ``actor`` it is the person's own deed. Raises Taken for a name or an address."""
    name = valid_user_name(name)
    user = User(
        id=new_id("usr"),
        name=name,
        is_admin=is_admin,
        email=None if email is None else valid_email(email),
        password_hash=password_hash,
    )
    session.add(user)
    refusals: dict[str, Exception] = {
        "uq_user_account_name": Taken(
            f"There is already a user named {name!r}.", field="name", hint="Choose another name."
        ),
        "uq_user_account_email": Taken(
            "There is already a user with this e-mail address.",
            field="email",
            hint="Sign in as that user.",
        ),
    }
    await flush_or(session, refusals)
    doer = actor or Actor(user_id=user.id, name=user.name)
    await log.record(
        session, doer, Action.USER_CREATE, None, f"Created the user {name}.", subject=user.id
    )
    return user


async def prepare_change(database: Database, actor: Actor, current: str, new: str) -> Verified:
    """Check the old password and hash the new one, which is ``rehashed`` of the answer.

    Only a browser's session may: a token that leaks, or that a program holds, must not take the account.
    """
    if actor.session_id is None or actor.user_id is None:
        raise PreconditionFailed(
            "A password is changed by who is signed in, not with an API token.",
            hint="Sign in in a browser; or ask an operator for a link: paas admin user password NAME.",
        )
    accepted = passwords.valid_password(new, field="newPassword")
    async with database.read_session() as session:
        user = await session.get(User, actor.user_id)
    stored = None if user is None else user.password_hash
    if user is None or not (await passwords.check(stored, current)).matches or stored is None:
        raise InvalidInput("This is not the present password.", field="currentPassword")
    return Verified(user.id, stored, await passwords.hashed(accepted))


async def change_password(session: WriteSession, actor: Actor, prepared: Verified) -> User:
    """Every session but the one that asks is ended."""
    user = await admit(session, prepared)
    await _password_was_set(session, actor, user, keep=actor.session_id)
    return user


async def issue_link(
    session: WriteSession, settings: Settings, actor: Actor, user: User
) -> tuple[PasswordLink, str]:
    """A link's secret with which the user's password can be set once. Operators only."""
    require_operator(actor, "give out links to set a password")
    await session.execute(delete(PasswordLink).where(PasswordLink.user_id == user.id))
    secret = new_secret(LINK_PREFIX)
    link = PasswordLink(
        id=new_id("pwl"),
        user_id=user.id,
        secret_hash=hash_of(secret),
        expires_at=datetime.now(UTC) + timedelta(hours=settings.invitation_hours),
    )
    session.add(link)
    await log.record(
        session,
        actor,
        Action.PASSWORD_LINK,
        None,
        f"Made a link to set the password of {user.name}.",
        subject=user.id,
    )
    await session.flush()
    return link, secret


async def holder_of(session: AsyncSession, secret: str) -> User:
    """Whose password the link is for. Raises NotFound alike for one that is unknown, used or expired."""
    statement = (
        select(User)
        .join(PasswordLink, PasswordLink.user_id == User.id)
        .where(
            PasswordLink.secret_hash == hash_of(secret), PasswordLink.expires_at > datetime.now(UTC)
        )
    )
    user = await session.scalar(statement)
    if user is None:
        raise _no_link()
    return user


def _no_link() -> NotFound:
    return NotFound(
        "This link is not known, was used already or has expired.",
        field="link",
        hint="Ask an operator for a new one: paas admin user password NAME.",
    )


async def redeem(session: WriteSession, secret: str, password_hash: str) -> User:
    """Set the password by a link, which ends; so does every session of the user."""
    statement = delete(PasswordLink).where(
        PasswordLink.secret_hash == hash_of(secret), PasswordLink.expires_at > datetime.now(UTC)
    )
    user_id = await session.scalar(statement.returning(PasswordLink.user_id))
    user = None if user_id is None else await session.get(User, user_id, with_for_update=True)
    if user is None:
        raise _no_link()
    user.password_hash = password_hash
    await _password_was_set(session, Actor(user_id=user.id, name=user.name), user, keep=None)
    return user


async def _password_was_set(
    session: WriteSession, actor: Actor, user: User, *, keep: str | None
) -> None:
    await session.execute(delete(PasswordLink).where(PasswordLink.user_id == user.id))
    ended = await sessions.end_all(session, user.id, but=keep)
    await log.record(
        session,
        actor,
        Action.PASSWORD_SET,
        None,
        f"Set the password of {user.name}; {ended} other session(s) ended.",
        subject=user.id,
    )
