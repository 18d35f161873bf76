"""Keeps organizations within their quotas.

Whatever lets an organization grow does so within ``growing``: it measures before and after, in the same
transaction and one at a time for an organization. A limit that was lowered below what is in use takes
nothing away; it only lets nothing grow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from app.access.actor import Actor
from app.access.permissions import require_operator
from app.audit import log
from app.audit.actions import Action
from app.db import WriteSession
from app.models import Organization, Quota
from app.quotas import queries
from app.quotas.plan import DEFAULT, Limits, check_growth, valid_limits


@asynccontextmanager
async def growing(session: WriteSession, organization_id: str) -> AsyncIterator[None]:
    """Raises LimitReached at its end when what was done within asks for more than may be had."""
    limits = await queries.limits_of(session, organization_id)
    if not limits.on_usage:
        yield
        return
    await queries.lock(session, organization_id)
    before = await queries.usage_of(session, organization_id)
    yield
    await session.flush()
    check_growth(limits, before, await queries.usage_of(session, organization_id))


async def may_build(session: WriteSession, organization_id: str) -> bool:
    """Whether one more build of the organization's may run. Whoever asks and starts one is alone."""
    limit = (await queries.limits_of(session, organization_id)).concurrent_builds
    if limit is None:
        return True
    await queries.lock(session, organization_id)
    return await queries.builds_running(session, organization_id) < limit


async def set_limits(
    session: WriteSession,
    actor: Actor,
    organization: Organization | None,
    given: Mapping[str, int | None],
) -> Limits:
    """Replaces the named limits of an organization, or of every one without its own; None lifts one."""
    require_operator(actor, "set quotas")
    valid_limits(given)
    holder = DEFAULT if organization is None else organization.id
    statement = insert(Quota).values(holder=holder, **given)
    if given:
        statement = statement.on_conflict_do_update(index_elements=["holder"], set_=dict(given))
    else:
        statement = statement.on_conflict_do_nothing()
    await session.execute(statement)
    row = await session.get_one(Quota, holder, populate_existing=True)
    told = ", ".join(f"{name} {value}" for name, value in sorted(given.items())) or "no limit"
    await log.record(session, actor, Action.QUOTA_SET, organization, f"Set quotas: {told}.")
    return queries.limits_in(row)


async def forget(session: WriteSession, organization_id: str) -> None:
    """Of an organization that is deleted."""
    await session.execute(delete(Quota).where(Quota.holder == organization_id))
