"""Whose account at a provider is whose here. Only issuer and subject decide; an e-mail address never does.

``docs/decisions/accounts-are-linked-by-subject.md`` says why, and who may sign up.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession, flush_or
from app.errors import Forbidden, InvalidInput, NotFound, PreconditionFailed, Taken
from app.ids import new_id
from app.invitations import service as invitations
from app.models import User, UserIdentity
from app.names import is_id, valid_display_name
from app.sessions.service import require_whole
from app.settings import Settings
from app.users import service
from app.users.emails import domain_of
from app.users.oidc import Claims


async def sign_in(
    session: WriteSession, settings: Settings, claims: Claims, *, invitation: str | None
) -> User:
    """The user of this account, who is created when invited, or of a domain that may sign up.

    Raises Forbidden for anybody else, Taken when the address belongs to a user already.
    """
    if invitation is not None:
        await invitations.locked_offer(session, invitation)
    known = await _known(session, claims)
    if known is not None:
        known.last_used_at = datetime.now(UTC)
        known.email = claims.email
        user = await session.get_one(User, known.user_id)
    else:
        user = await _sign_up(session, settings, claims, invited=invitation is not None)
    if invitation is not None:
        await invitations.accept(session, Actor(user.id, user.name), user, invitation)
    return user


async def _known(session: WriteSession, claims: Claims) -> UserIdentity | None:
    return await session.scalar(
        select(UserIdentity)
        .where(UserIdentity.issuer == claims.issuer, UserIdentity.subject == claims.subject)
        .with_for_update()
    )


async def _sign_up(
    session: WriteSession, settings: Settings, claims: Claims, *, invited: bool
) -> User:
    if not invited and not _may_sign_up(settings, claims):
        raise Forbidden(
            f"Nobody here is known by this account of {settings.oidc_name}.",
            hint="Ask for an invitation. If you have a user here, sign in with its password and link it.",
        )
    name = await _free_name(session, claims)
    user = await service.create(session, None, name=name, email=claims.email)
    await _add(session, Actor(user.id, user.name), user, claims)
    return user


def _may_sign_up(settings: Settings, claims: Claims) -> bool:
    domains = {part.strip().lower() for part in settings.oidc_email_domains.split(",")} - {""}
    return claims.email is not None and domain_of(claims.email) in domains


async def _free_name(session: AsyncSession, claims: Claims) -> str:
    """What the provider calls the person; with a number behind it where somebody has that name."""
    wanted = (claims.name or (claims.email or "").partition("@")[0]).replace("@", " ")
    try:
        wanted = valid_display_name(wanted, default="user")[:150]
    except InvalidInput:
        wanted = "user"
    for name in (wanted, *(f"{wanted} {number}" for number in range(2, 100))):
        if await session.scalar(select(User.id).where(User.name == name)) is None:
            return name
    return new_id("user")


async def link(session: WriteSession, actor: Actor, claims: Claims) -> UserIdentity:
    """The account signs in as the actor's user from now on. Raises Taken when it does as another."""
    user = await session.get_one(User, actor.user_id)
    known = await _known(session, claims)
    if known is not None and known.user_id == user.id:
        return known
    if known is not None:
        raise Taken(
            "This account already signs in as another user.", hint="Sign in as that user to unlink."
        )
    return await _add(session, actor, user, claims)


async def _add(session: WriteSession, actor: Actor, user: User, claims: Claims) -> UserIdentity:
    identity = UserIdentity(
        id=new_id("idn"),
        user_id=user.id,
        issuer=claims.issuer,
        subject=claims.subject,
        email=claims.email,
        last_used_at=datetime.now(UTC),
    )
    session.add(identity)
    taken = Taken("This account was linked a moment ago.", hint="Sign in with it again.")
    await flush_or(session, {"uq_user_identity_issuer_subject": taken})
    summary = f"Linked {user.name} to the account {claims.subject} of {claims.issuer}."
    await log.record(session, actor, Action.IDENTITY_LINK, None, summary, subject=identity.id)
    return identity


async def list_own(session: AsyncSession, actor: Actor) -> list[UserIdentity]:
    require_whole(actor)
    statement = select(UserIdentity).where(UserIdentity.user_id == actor.user_id)
    return list(await session.scalars(statement.order_by(UserIdentity.id)))


async def unlink(session: WriteSession, actor: Actor, identity_id: str) -> UserIdentity:
    """Raises PreconditionFailed for the last way in that its user has."""
    require_whole(actor)
    row = await session.get(UserIdentity, identity_id) if is_id(identity_id) else None
    if row is None or not (actor.is_admin or row.user_id == actor.user_id):
        raise NotFound("There is no such linked account.", hint="Only your own can be seen.")
    user = await session.get_one(User, row.user_id, with_for_update=True)
    others = await session.scalar(
        select(func.count())
        .select_from(UserIdentity)
        .where(UserIdentity.user_id == user.id, UserIdentity.id != row.id)
    )
    if user.password_hash is None and not others:
        raise PreconditionFailed(
            "This account is the only way in that the user has.", hint="Set a password first."
        )
    await session.delete(row)
    summary = f"Unlinked {user.name} from the account {row.subject} of {row.issuer}."
    await log.record(session, actor, Action.IDENTITY_UNLINK, None, summary, subject=row.id)
    await session.flush()
    return row
