"""A receiver of webhooks on loopback, and an organization that has something to tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from sqlalchemy import select, update

from app.access.actor import Actor
from app.crypto import SecretBox
from app.db import Database
from app.events import service as events
from app.models import EventKind, Webhook, WebhookDelivery
from app.outbound.client import Outbound
from app.outbound.guard import Guard, parse_networks
from app.reconcile.driver import Driver
from app.webhooks import service
from app.webhooks.reconcile import WebhookReconciler
from tests.conftest import free_port
from tests.factories import Placed, make_instance, make_user

GUARD = Guard(parse_networks("127.0.0.0/8"))


@dataclass
class Receiver:
    """``answer``: the status that it answers with."""

    port: int
    answer: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((headers, await request.text()))
        return web.Response(status=self.answer, text="said so", headers=self.headers)


@dataclass
class Sender:
    database: Database
    box: SecretBox
    placed: Placed
    actor: Actor
    receiver: Receiver

    async def webhook(self, *kinds: EventKind) -> tuple[Webhook, str]:
        async with self.database.write_transaction() as session:
            return await service.create(
                session,
                self.actor,
                self.placed.organization,
                self.box,
                GUARD,
                url=self.receiver.url,
                kinds=kinds,
            )

    async def tell(self, kind: EventKind = EventKind.SCALE_CHANGED, **payload: object) -> None:
        async with self.database.write_transaction() as session:
            await events.tell_of_instance(session, kind, self.placed.instance.id, payload)

    def reconciler(self) -> WebhookReconciler:
        return WebhookReconciler(self.database, self.box, Outbound(GUARD, seconds=2))

    async def send(self) -> None:
        """All that is due."""
        await Driver(self.database, [self.reconciler()]).run_until_idle()

    async def make_due(self) -> None:
        async with self.database.write_transaction() as session:
            await session.execute(
                update(WebhookDelivery)
                .where(WebhookDelivery.next_attempt_at.is_not(None))
                .values(next_attempt_at=WebhookDelivery.created_at)
            )

    async def deliveries(self) -> list[WebhookDelivery]:
        async with self.database.read_session() as session:
            statement = select(WebhookDelivery).order_by(
                WebhookDelivery.event_id, WebhookDelivery.id
            )
            return list(await session.scalars(statement))

    async def row(self, webhook: Webhook) -> Webhook:
        async with self.database.read_session() as session:
            found = await session.get(Webhook, webhook.id)
            assert found is not None
            return found


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver(free_port())
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", receiver.port).start()
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def sender(database: Database, secret_box: SecretBox, receiver: Receiver) -> Sender:
    placed = await make_instance(database)
    actor = await make_user(database, placed.organization)
    return Sender(database, secret_box, placed, actor, receiver)
