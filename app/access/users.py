"""People and machines that may be given tokens."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.permissions import require_operator
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession, flush_or
from app.errors import InvalidInput, NotFound, Taken
from app.ids import new_id
from app.models import User
from app.names import valid_display_name


async def create(session: WriteSession, actor: Actor, *, name: str, is_admin: bool = False) -> User:
    """Raises Forbidden unless an operator asks; Taken when the name is in use."""
    require_operator(actor, "create users")
    name = valid_display_name(name, default="", field="name")
    if not name:
        raise InvalidInput("A user needs a name.", field="name")
    user = User(id=new_id("usr"), name=name, is_admin=is_admin)
    session.add(user)
    taken = Taken(f"There is already a user named {name!r}.", field="name")
    await flush_or(session, {"uq_user_account_name": taken})
    what = "operator" if is_admin else "user"
    await log.record(
        session, actor, Action.USER_CREATE, None, f"Created the {what} {name}.", subject=user.id
    )
    return user


async def by_name(session: AsyncSession, name: str) -> User:
    """Raises NotFound."""
    found = None
    if "\0" not in name:
        found = await session.scalar(select(User).where(User.name == name))
    if found is None:
        raise NotFound("There is no user of that name.", field="user")
    return found


async def of_actor(session: AsyncSession, actor: Actor) -> User:
    """The actor's own row. Raises NotFound for the operator, who has none."""
    found = None if actor.user_id is None else await session.get(User, actor.user_id)
    if found is None:
        raise NotFound("You act as the platform's operator, who has no user.")
    return found
