"""One root mutation field is one write transaction.

GraphQL runs a document's root mutation fields one after another; each commits or rolls back on its own,
so that a failed one neither undoes its neighbours nor is committed by them. A failure that the caller can
act on becomes the payload's ``userErrors``; anything else is masked at the edge.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, ClassVar, TypeVar

import strawberry

from app.access.actor import Actor
from app.db import WriteSession
from app.errors import InvalidInput
from app.graphql.context import Info
from app.graphql.errors import UserError, known_failure, user_error
from app.graphql.idempotency import once


@strawberry.interface(
    description="What every mutation answers with. With `userErrors`, nothing was changed and the rest is null."
)
class MutationPayload:
    shown_once: ClassVar[frozenset[str]] = frozenset()
    """Fields that an answer to a repeated request leaves out."""

    user_errors: list[UserError] = strawberry.field(default_factory=list)


P = TypeVar("P", bound=MutationPayload)


async def mutate(
    info: Info,
    payload: type[P],
    work: Callable[[WriteSession, Actor], Awaitable[P]],
    *,
    key: str | None = None,
) -> P:
    """Run ``work`` in a transaction of its own and commit it; with an idempotency ``key``, once.

    Raises Unauthenticated for a request without a token, and whatever is a bug.
    """
    context = info.context
    actor = context.require_actor()
    try:
        async with context.container.database.write_transaction() as session:
            session.act_for(actor)
            if key is None:
                return await work(session, actor)
            return await once(info, session, actor, key, payload, work)
    except Exception as error:
        known = known_failure(error)
        if known is None:
            raise
        return payload(user_errors=[user_error(known)])
    finally:
        context.forget()


Confirm = Annotated[
    str, strawberry.argument(description="The slug of what is to be deleted, as typed by a person.")
]


def require_confirmation(slug: str, confirm: str) -> None:
    """Raises InvalidInput unless the caller named what it is about to lose."""
    if confirm != slug:
        raise InvalidInput(
            "`confirm` is not the slug of what would be deleted.",
            field="confirm",
            hint=f'To delete it, pass confirm: "{slug}".',
        )
