"""Every SELECT of webhooks and their deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.visible import visible_to
from app.db import WriteSession
from app.errors import NotFound
from app.models import (
    App,
    DeliveryStatus,
    Environment,
    Event,
    Organization,
    Project,
    Webhook,
    WebhookDelivery,
)
from app.names import is_id


async def find(session: AsyncSession, actor: Actor, id: str) -> Webhook:
    """Raises NotFound also to whoever may not know of its organization."""
    statement = select(Webhook).join(Organization, Webhook.organization_id == Organization.id)
    found = None
    if is_id(id):
        wanted = visible_to(actor, statement.where(Webhook.id == id), Organization)
        found = (await session.scalars(wanted)).one_or_none()
    if found is None:
        raise NotFound("There is no such webhook.", hint="Check the id, and who you are.")
    return found


async def find_delivery(
    session: AsyncSession, actor: Actor, id: str
) -> tuple[WebhookDelivery, Webhook]:
    delivery = await session.get(WebhookDelivery, id) if is_id(id) else None
    try:
        if delivery is not None:
            return delivery, await find(session, actor, delivery.webhook_id)
    except NotFound:
        pass
    raise NotFound("There is no such delivery.", hint="They are kept for 30 days.")


async def count(session: AsyncSession, organization_id: str) -> int:
    statement = select(func.count()).where(Webhook.organization_id == organization_id)
    return await session.scalar(statement) or 0


async def lock(session: WriteSession, webhook_id: str) -> Webhook | None:
    return await session.get(
        Webhook, webhook_id, with_for_update={"key_share": True}, populate_existing=True
    )


async def with_work(session: AsyncSession) -> Sequence[str]:
    """Webhooks that have not looked at some event yet, or have a delivery to send now."""
    news = exists().where(
        Event.organization_id == Webhook.organization_id, Event.id > Webhook.cursor
    )
    due = exists().where(
        WebhookDelivery.webhook_id == Webhook.id,
        WebhookDelivery.status == DeliveryStatus.PENDING,
        WebhookDelivery.next_attempt_at <= func.clock_timestamp(),
    )
    statement = select(Webhook.id).where(Webhook.enabled, or_(news, due)).order_by(Webhook.id)
    return (await session.scalars(statement)).all()


async def due(session: AsyncSession, webhook_id: str, *, limit: int) -> Sequence[WebhookDelivery]:
    """The longest-waiting first; of the new ones, in the order of their events."""
    statement = (
        select(WebhookDelivery)
        .where(
            WebhookDelivery.webhook_id == webhook_id,
            WebhookDelivery.status == DeliveryStatus.PENDING,
            WebhookDelivery.next_attempt_at <= func.clock_timestamp(),
        )
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.event_id, WebhookDelivery.id)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def path_of(session: AsyncSession, event: Event) -> str | None:
    """``acme/storefront/web/production`` as it is called now, as far as it is still there."""
    statement = (
        select(Organization.slug, Project.slug, App.slug, Environment.slug)
        .select_from(Organization)
        .outerjoin(Project, Project.id == event.project_id)
        .outerjoin(App, App.id == event.app_id)
        .outerjoin(Environment, Environment.id == event.environment_id)
        .where(Organization.id == event.organization_id)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else "/".join(slug for slug in row if slug is not None)


async def prune(session: WriteSession, webhook_id: str, before: datetime) -> None:
    """Deliveries that ended before then."""
    await session.execute(
        delete(WebhookDelivery).where(
            WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.finished_at < before
        )
    )


async def of_organization(session: AsyncSession, organization_id: str) -> Sequence[Webhook]:
    """Oldest first."""
    statement = select(Webhook).where(Webhook.organization_id == organization_id)
    return (await session.scalars(statement.order_by(Webhook.id))).all()


async def deliveries_of(session: AsyncSession, webhook_id: str) -> Sequence[WebhookDelivery]:
    """The newest hundred, newest first."""
    statement = (
        select(WebhookDelivery)
        .where(WebhookDelivery.webhook_id == webhook_id)
        .order_by(WebhookDelivery.id.desc())
        .limit(100)
    )
    return (await session.scalars(statement)).all()
