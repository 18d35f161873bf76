"""Events become deliveries, deliveries are sent: at least once each, and each under one id.

fan out    one transaction: a delivery for each event that is wanted, and the cursor behind it
claim      the attempt is counted and the next one planned, before anything is sent: a message that
           takes the worker down with it is not sent again at once
send       signed by Standard Webhooks
record     what was answered
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.dialects.postgresql import insert

from app.crypto import SecretBox
from app.db import Database
from app.errors import ExternalFailure, PreconditionFailed
from app.events import queries as event_queries
from app.events import service as events
from app.events.words import sentence
from app.faults import checkpoint
from app.ids import new_id
from app.models import DeliveryStatus, EventKind, Webhook, WebhookDelivery
from app.outbound.client import Outbound, Reply
from app.reconcile.lease import HeldLease
from app.webhooks import plan, queries
from app.webhooks.service import open_secret, switch_off

logger = logging.getLogger(__name__)

STEPS = ("webhook.fanned_out", "webhook.claimed", "webhook.sent", "webhook.recorded")
_EVENTS_AT_ONCE = 200
_SENDS_AT_ONCE = 20


class WebhookReconciler:
    """Kind ``"webhook"``, key: the webhook's id. What it was not woken for, it finds within a second."""

    kind = "webhook"
    period = 1.0
    concurrency = 8

    def __init__(self, database: Database, box: SecretBox, outbound: Outbound) -> None:
        self._database = database
        self._box = box
        self._outbound = outbound

    async def pending(self) -> Sequence[str]:
        async with self._database.read_session() as session:
            return await queries.with_work(session)

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        while await self._fan_out(key, lease):
            checkpoint("webhook.fanned_out")
        async with self._database.read_session() as session:
            webhook = await session.get(Webhook, key)
            due = await queries.due(session, key, limit=_SENDS_AT_ONCE)
        if webhook is None or not webhook.enabled:
            return
        for delivery in due:
            if not await self._deliver(webhook, delivery.id, lease):
                return  # The others wait for the next look: a receiver that is down is not hammered.

    async def _fan_out(self, webhook_id: str, lease: HeldLease) -> bool:
        """Whether there may be more events."""
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            webhook = await queries.lock(session, webhook_id)
            if webhook is None or not webhook.enabled:
                return False
            events = await event_queries.after(
                session,
                webhook.cursor,
                organization_id=webhook.organization_id,
                limit=_EVENTS_AT_ONCE,
            )
            if not events:
                return False
            now = datetime.now(UTC)
            rows = [
                {
                    "id": new_id("whd"),
                    "webhook_id": webhook.id,
                    "event_id": event.id,
                    "kind": event.kind.value,
                    "body": plan.body_of(
                        event,
                        await queries.path_of(session, event),
                        sentence(event.kind, event.payload),
                    ),
                    "status": DeliveryStatus.PENDING,
                    "attempts": 0,
                    "next_attempt_at": now,
                }
                for event in events
                if plan.wants(webhook.kinds, webhook.project_id, event)
            ]
            if rows:
                await session.execute(insert(WebhookDelivery).values(rows).on_conflict_do_nothing())
            webhook.cursor = events[-1].id
            await queries.prune(session, webhook.id, now - timedelta(days=plan.KEPT_DAYS))
            return True

    async def _deliver(self, webhook: Webhook, delivery_id: str, lease: HeldLease) -> bool:
        """Whether it arrived, or was nothing to do."""
        claimed = await self._claim(delivery_id, lease)
        if claimed is None:
            return True
        checkpoint("webhook.claimed")
        lease.check()
        reply, error = await self._send(webhook, claimed)
        checkpoint("webhook.sent")
        await self._record(webhook.id, delivery_id, reply, error, lease)
        checkpoint("webhook.recorded")
        return reply is not None and plan.succeeded(reply.status)

    async def _claim(self, delivery_id: str, lease: HeldLease) -> WebhookDelivery | None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            delivery = await session.get(WebhookDelivery, delivery_id, with_for_update=True)
            if delivery is None or delivery.status is not DeliveryStatus.PENDING:
                return None
            delivery.attempts += 1
            pause = plan.pause_after(delivery.attempts) or plan.PAUSES[-1]
            delivery.next_attempt_at = _in(pause)
            return delivery

    async def _send(
        self, webhook: Webhook, delivery: WebhookDelivery
    ) -> tuple[Reply | None, str | None]:
        """The answer, or why there is none."""
        try:
            headers = signed(open_secret(self._box, webhook), delivery, datetime.now(UTC))
            return await self._outbound.post(webhook.url, delivery.body.encode(), headers), None
        except (ExternalFailure, PreconditionFailed) as error:
            return None, error.message

    async def _record(
        self,
        webhook_id: str,
        delivery_id: str,
        reply: Reply | None,
        error: str | None,
        lease: HeldLease,
    ) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            webhook = await queries.lock(session, webhook_id)
            delivery = await session.get(WebhookDelivery, delivery_id, with_for_update=True)
            if webhook is None or delivery is None:
                return
            delivery.response_status = None if reply is None else reply.status
            delivery.response_excerpt = None if reply is None else reply.excerpt
            delivery.error = error
            if reply is not None and plan.succeeded(reply.status):
                webhook.failing_since = None
                _end(delivery, DeliveryStatus.SUCCEEDED)
                return
            webhook.failing_since = webhook.failing_since or datetime.now(UTC)
            if plan.pause_after(delivery.attempts) is None:
                _end(delivery, DeliveryStatus.FAILED)
            elif reply is not None and (wait := plan.valid_retry_after(reply.retry_after)):
                assert delivery.next_attempt_at is not None
                delivery.next_attempt_at = max(delivery.next_attempt_at, _in(wait))
            reason = _reason_to_stop(webhook, delivery)
            if reason is not None:
                await switch_off(session, webhook, reason)
                subject = events.Subject(webhook.organization_id, webhook.project_id)
                said = {"webhookId": webhook.id, "reason": reason}
                await events.tell(session, EventKind.WEBHOOK_DISABLED, subject, said)
                logger.info("webhook %s: %s", webhook.id, reason, extra={"webhook": webhook.id})


def _reason_to_stop(webhook: Webhook, delivery: WebhookDelivery) -> str | None:
    if delivery.response_status == plan.GONE:
        return "The receiver answered 410 Gone: it wants no more messages."
    since, given_up = webhook.failing_since, delivery.status is DeliveryStatus.FAILED
    if given_up and since is not None and since <= delivery.created_at + timedelta(minutes=1):
        days = round(sum(plan.PAUSES) / 86400)
        return f"Nothing has arrived for {days} days; each message was tried {delivery.attempts} times."
    return None


def signed(secret: str, delivery: WebhookDelivery, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0, and what the body is."""
    from standardwebhooks import Webhook as Signer

    return {
        "content-type": "application/json",
        "user-agent": "paas-webhooks/1",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(secret).sign(delivery.id, now, delivery.body),
    }


def _in(seconds: int) -> datetime:
    """Then, give or take a tenth: many receivers that went down together are not called together."""
    return datetime.now(UTC) + timedelta(seconds=seconds * random.uniform(0.9, 1.1))


def _end(delivery: WebhookDelivery, status: DeliveryStatus) -> None:
    delivery.status, delivery.next_attempt_at = status, None
    delivery.finished_at = datetime.now(UTC)
