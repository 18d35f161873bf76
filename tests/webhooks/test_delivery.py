"""What a receiver gets, and what happens when it does not take it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from app.errors import InvalidInput, PreconditionFailed
from app.events import service as events
from app.models import DeliveryStatus, EventKind, Webhook, WebhookDelivery
from app.outbound.client import Outbound
from app.outbound.guard import Guard
from app.reconcile.driver import Driver
from app.webhooks import plan, service
from app.webhooks.reconcile import WebhookReconciler
from tests.factories import make_instance
from tests.webhooks.conftest import Sender


async def test_event_arrives_once_signed_as_the_reference_library_verifies(sender: Sender) -> None:
    await sender.tell(replicas=1)
    webhook, secret = await sender.webhook()
    await sender.tell(replicas=2, cpuMillis=100, memoryMb=64)
    await sender.send()
    await sender.send()
    ((headers, body),) = sender.receiver.got
    said = Verifier(secret).verify(body, headers)
    assert said["type"] == "scale.changed"
    assert said["data"]["path"] == "acme/storefront/web/production"
    assert said["data"]["instanceId"] == sender.placed.instance.id
    assert said["data"]["details"] == {"replicas": 2, "cpuMillis": 100, "memoryMb": 64}
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(body.replace("2", "3"), headers)
    (delivery,) = await sender.deliveries()
    assert headers["webhook-id"] == delivery.id
    assert (delivery.status, delivery.response_status) == (DeliveryStatus.SUCCEEDED, 204)
    assert secret.encode() not in webhook.secret_ciphertext


async def test_only_what_was_asked_for_is_sent_in_the_order_of_events(sender: Sender) -> None:
    await sender.webhook(EventKind.SCALE_CHANGED)
    await sender.tell(EventKind.VARIABLES_CHANGED)
    for number in range(3):
        await sender.tell(replicas=number)
    other = await make_instance(sender.database, organization="other")
    async with sender.database.write_transaction() as session:
        scale = EventKind.SCALE_CHANGED
        await events.tell_of_instance(session, scale, other.instance.id, {"replicas": 9})
    await sender.send()
    bodies = [json.loads(body)["data"]["details"]["replicas"] for _, body in sender.receiver.got]
    assert bodies == [0, 1, 2]


async def test_failed_attempt_is_repeated_under_the_same_id_and_signed_anew(
    sender: Sender,
) -> None:
    _, secret = await sender.webhook()
    sender.receiver.answer = 500
    await sender.tell()
    await sender.send()
    (delivery,) = await sender.deliveries()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.PENDING, 1)
    assert (delivery.response_status, delivery.response_excerpt) == (500, "said so")
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at > datetime.now(UTC)
    sender.receiver.answer = 200
    await sender.make_due()
    await sender.send()
    first, second = sender.receiver.got
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]
    Verifier(secret).verify(second[1], second[0])
    (delivery,) = await sender.deliveries()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 2)


async def test_receiver_that_asks_for_time_is_given_it(sender: Sender) -> None:
    await sender.webhook()
    sender.receiver.answer, sender.receiver.headers = 503, {"Retry-After": "1800"}
    await sender.tell()
    await sender.send()
    (delivery,) = await sender.deliveries()
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at > datetime.now(UTC) + timedelta(minutes=25)


async def test_receiver_that_is_not_there_for_days_is_given_up_and_it_is_said(
    sender: Sender,
) -> None:
    webhook, _ = await sender.webhook()
    sender.receiver.answer = 500
    await sender.tell()
    for _ in range(len(plan.PAUSES) + 1):
        await sender.send()
        await sender.make_due()
    assert len(sender.receiver.got) == len(plan.PAUSES) + 1
    row = await sender.row(webhook)
    assert not row.enabled
    assert row.disabled_reason == (
        f"Nothing has arrived for 3 days; each message was tried {len(plan.PAUSES) + 1} times."
    )
    (delivery,) = await sender.deliveries()
    assert delivery.status is DeliveryStatus.FAILED
    await sender.tell()
    await sender.send()
    assert len(sender.receiver.got) == len(plan.PAUSES) + 1


async def test_success_in_between_keeps_a_webhook_on(sender: Sender) -> None:
    webhook, _ = await sender.webhook()
    sender.receiver.answer = 500
    await sender.tell()
    await sender.send()
    async with sender.database.write_transaction() as session:
        await session.execute(
            update(WebhookDelivery).values(
                attempts=len(plan.PAUSES), created_at=datetime.now(UTC) - timedelta(days=3)
            )
        )
        await session.execute(
            update(Webhook).values(failing_since=datetime.now(UTC) - timedelta(hours=1))
        )
    await sender.make_due()
    await sender.send()
    (delivery,) = await sender.deliveries()
    assert delivery.status is DeliveryStatus.FAILED
    assert (await sender.row(webhook)).enabled


async def test_410_switches_it_off_at_once(sender: Sender) -> None:
    webhook, _ = await sender.webhook()
    sender.receiver.answer = 410
    await sender.tell()
    await sender.tell()
    await sender.send()
    assert len(sender.receiver.got) == 1
    assert "410 Gone" in ((await sender.row(webhook)).disabled_reason or "")
    assert {d.status for d in await sender.deliveries()} == {DeliveryStatus.FAILED}


async def test_private_address_is_refused_at_delivery_and_shown(sender: Sender) -> None:
    await sender.webhook()
    await sender.tell()
    closed = WebhookReconciler(sender.database, sender.box, Outbound(Guard()))
    await Driver(sender.database, [closed]).run_until_idle()
    (delivery,) = await sender.deliveries()
    assert sender.receiver.got == []
    assert delivery.error == "127.0.0.1 is not a public address."


async def test_test_is_sent_and_any_delivery_can_be_sent_again(sender: Sender) -> None:
    webhook, _ = await sender.webhook()
    async with sender.database.write_transaction() as session:
        await service.send_test(session, sender.actor, webhook)
    await sender.send()
    (delivery,) = await sender.deliveries()
    assert (delivery.kind, delivery.status) == ("webhook.test", DeliveryStatus.SUCCEEDED)
    async with sender.database.write_transaction() as session:
        row = await session.get(WebhookDelivery, delivery.id)
        assert row is not None
        await service.retry(session, sender.actor, row, webhook)
    await sender.send()
    assert [headers["webhook-id"] for headers, _ in sender.receiver.got] == [delivery.id] * 2


async def test_switched_off_misses_what_happens_and_begins_anew(sender: Sender) -> None:
    webhook, _ = await sender.webhook()
    for enabled in (False, True):
        async with sender.database.write_transaction() as session:
            await service.update(session, sender.actor, webhook, Guard(), enabled=enabled)
        if not enabled:
            await sender.tell(replicas=1)
            async with sender.database.write_transaction() as session:
                with pytest.raises(PreconditionFailed):
                    await service.send_test(session, sender.actor, webhook)
    await sender.tell(replicas=2)
    await sender.send()
    ((_, body),) = sender.receiver.got
    assert json.loads(body)["data"]["details"] == {"replicas": 2}


async def test_url_without_tls_needs_an_allowed_network(sender: Sender) -> None:
    async with sender.database.write_transaction() as session:
        with pytest.raises(InvalidInput, match="https://"):
            await service.create(
                session,
                sender.actor,
                sender.placed.organization,
                sender.box,
                Guard(),
                url="http://example.com/",
            )
