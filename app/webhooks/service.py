"""What can be done to webhooks. The secret is shown once, and sealed under the row's id."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import update as sql_update

from app.access.actor import Actor
from app.access.find import Place, scope_of
from app.access.permissions import Permission, require
from app.access.scope import Scope
from app.audit import log
from app.audit.actions import Action
from app.crypto import Sealed, SecretBox
from app.db import WriteSession
from app.errors import InvalidInput, NotFound, PreconditionFailed
from app.events import queries as event_queries
from app.ids import new_id
from app.models import (
    DeliveryStatus,
    EventKind,
    Organization,
    Project,
    Webhook,
    WebhookDelivery,
)
from app.outbound.guard import Guard, valid_url
from app.webhooks import plan, queries

SWITCHED_OFF = "The webhook was switched off."


async def create(
    session: WriteSession,
    actor: Actor,
    organization: Organization,
    box: SecretBox,
    guard: Guard,
    *,
    url: str,
    kinds: Sequence[EventKind] = (),
    project: Project | None = None,
) -> tuple[Webhook, str]:
    """With its signing secret, which nothing shows again. It is told of what happens from now on."""
    if project is not None and project.organization_id != organization.id:
        raise InvalidInput("The project is of another organization.", field="projectId")
    scope = scope_of(organization if project is None else project)
    await require(session, actor, scope, Permission.WEBHOOKS_WRITE)
    await session.get(Organization, organization.id, with_for_update={"key_share": True})
    plan.require_room(await queries.count(session, organization.id))
    identifier, secret = new_id("whk"), new_secret()
    sealed = box.seal(secret.encode(), context=_context(identifier))
    webhook = Webhook(
        id=identifier,
        organization_id=organization.id,
        project_id=None if project is None else project.id,
        url=valid_url(url, guard),
        kinds=plan.valid_kinds(kinds),
        secret_ciphertext=sealed.ciphertext,
        key_id=sealed.key_id,
        enabled=True,
        cursor=await event_queries.newest(session),
    )
    session.add(webhook)
    await session.flush()
    await session.refresh(webhook)
    await _record(session, actor, Action.WEBHOOK_CREATE, webhook, "Made a webhook")
    return webhook, secret


async def update(
    session: WriteSession,
    actor: Actor,
    webhook: Webhook,
    guard: Guard,
    *,
    url: str | None = None,
    kinds: Sequence[EventKind] | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Only what is given changes. One that was switched off begins with what happens from now on."""
    webhook = await _lock(session, actor, webhook)
    if url is not None:
        webhook.url = valid_url(url, guard)
    if kinds is not None:
        webhook.kinds = plan.valid_kinds(kinds)
    if enabled and not webhook.enabled:
        webhook.enabled, webhook.disabled_reason, webhook.failing_since = True, None, None
        webhook.cursor = await event_queries.newest(session)
    if enabled is False and webhook.enabled:
        await switch_off(session, webhook, None)
    await session.flush()
    await _record(session, actor, Action.WEBHOOK_UPDATE, webhook, "Changed a webhook")
    return webhook


async def delete(session: WriteSession, actor: Actor, webhook: Webhook) -> None:
    """With its deliveries."""
    webhook = await _lock(session, actor, webhook)
    await _record(session, actor, Action.WEBHOOK_DELETE, webhook, "Deleted a webhook")
    await session.delete(webhook)
    await session.flush()


async def send_test(session: WriteSession, actor: Actor, webhook: Webhook) -> WebhookDelivery:
    """A message that tells of nothing, to see whether it arrives."""
    webhook = await _lock(session, actor, webhook)
    _require_enabled(webhook)
    now = datetime.now(UTC)
    delivery = WebhookDelivery(
        id=new_id("whd"),
        webhook_id=webhook.id,
        kind=plan.TEST_KIND,
        body=plan.test_body(now, webhook.organization_id),
        status=DeliveryStatus.PENDING,
        next_attempt_at=now,
    )
    session.add(delivery)
    await session.flush()
    await session.refresh(delivery)
    await session.wake("webhook", webhook.id)
    await _record(session, actor, Action.WEBHOOK_TEST, webhook, "Sent a test to a webhook")
    return delivery


async def retry(
    session: WriteSession, actor: Actor, delivery: WebhookDelivery, webhook: Webhook
) -> WebhookDelivery:
    """Send it at once, whatever became of it: with the same id and body, and signed anew."""
    webhook = await _lock(session, actor, webhook)
    _require_enabled(webhook)
    await session.refresh(delivery, with_for_update=True)
    delivery.status = DeliveryStatus.PENDING
    delivery.next_attempt_at, delivery.finished_at = datetime.now(UTC), None
    await session.flush()
    await session.wake("webhook", webhook.id)
    await _record(session, actor, Action.WEBHOOK_RETRY, webhook, "Sent again to a webhook")
    return delivery


async def switch_off(session: WriteSession, webhook: Webhook, reason: str | None) -> None:
    """What is still to be sent is not. ``reason``: why the platform did it."""
    webhook.enabled, webhook.disabled_reason = False, reason
    await session.execute(
        sql_update(WebhookDelivery)
        .where(
            WebhookDelivery.webhook_id == webhook.id,
            WebhookDelivery.status == DeliveryStatus.PENDING,
        )
        .values(
            status=DeliveryStatus.FAILED,
            error=reason or SWITCHED_OFF,
            next_attempt_at=None,
            finished_at=datetime.now(UTC),
        )
    )


def new_secret() -> str:
    """As Standard Webhooks spells them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def open_secret(box: SecretBox, webhook: Webhook) -> str:
    """Raises PreconditionFailed when its key is not held."""
    sealed = Sealed(webhook.secret_ciphertext, webhook.key_id)
    return box.open(sealed, context=_context(webhook.id)).decode()


def _context(webhook_id: str) -> str:
    return f"webhook:{webhook_id}"


def scope_of_webhook(webhook: Webhook) -> Scope:
    return Scope(webhook.organization_id, webhook.project_id)


async def _lock(session: WriteSession, actor: Actor, webhook: Webhook) -> Webhook:
    await require(session, actor, scope_of_webhook(webhook), Permission.WEBHOOKS_WRITE)
    locked = await queries.lock(session, webhook.id)
    if locked is None:
        raise NotFound("The webhook was deleted meanwhile.")
    return locked


def _require_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise PreconditionFailed("The webhook is switched off.", hint="Switch it on first.")


async def _record(
    session: WriteSession, actor: Actor, action: Action, webhook: Webhook, did: str
) -> None:
    """The host and not the URL: its path is often a secret."""
    organization = await session.get(Organization, webhook.organization_id)
    assert organization is not None
    project = None if webhook.project_id is None else await session.get(Project, webhook.project_id)
    where = organization if project is None else Place(organization, project)
    host = webhook.url.split("/")[2]
    await log.record(session, actor, action, where, f"{did} ({host}).", subject=webhook.id)
