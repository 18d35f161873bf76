"""Outgoing webhooks. Only whoever may change them sees them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.access import find
from app.access.actor import Actor
from app.db import WriteSession
from app.graphql.connection import After, Before, Connection, First, Last, Listing
from app.graphql.context import Info
from app.graphql.idempotency import Key
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.node import Node, shown, shows
from app.outbound.guard import guard_of
from app.webhooks import queries, service

if TYPE_CHECKING:
    from app.projects.graphql import Project

ProjectType = Annotated["Project", strawberry.lazy("app.projects.graphql")]

WEBHOOKS = Listing(row=models.Webhook, parent=models.Webhook.organization_id, key=models.Webhook.id)
DELIVERIES = Listing(
    row=models.WebhookDelivery,
    parent=models.WebhookDelivery.webhook_id,
    key=models.WebhookDelivery.id,
    descending=True,
)


@shows(models.WebhookDelivery)
@strawberry.type(
    description="One message to a webhook; its id is sent as `webhook-id`, the same at each attempt."
    " Kept for 30 days after its end."
)
class WebhookDelivery(Node):
    kind: str = strawberry.field(description="`deployment.succeeded`; `webhook.test` for a test.")
    body: str = strawberry.field(description="What is sent, to the byte.")
    status: models.DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    response_status: int | None = strawberry.field(description="Of the last attempt.")
    response_excerpt: str | None = strawberry.field(description="How its body began.")
    error: str | None = strawberry.field(description="Why there was no answer.")
    created_at: datetime
    finished_at: datetime | None


@shows(models.Webhook)
@strawberry.type(description="A URL that is told of events, signed by Standard Webhooks.")
class Webhook(Node):
    url: str
    enabled: bool
    disabled_reason: str | None = strawberry.field(
        description="Why the platform switched it off; null when a person did."
    )
    failing_since: datetime | None = strawberry.field(description="Nothing has arrived since then.")
    created_at: datetime
    project_id: strawberry.Private[str | None]
    kinds: strawberry.Private[list[str]]

    @strawberry.field(description="Of which it is told; empty: of all.")
    def events(self) -> list[models.EventKind]:
        return [models.EventKind(kind) for kind in self.kinds]

    @strawberry.field(description="Told only of what happens in this one; null: in all.")
    async def project(self, info: Info) -> ProjectType | None:
        found: Project | None = await info.context.shown_or_none(models.Project, id=self.project_id)
        return found

    @strawberry.field(description="Newest first.")
    async def deliveries(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[WebhookDelivery]:
        return await info.context.connection(DELIVERIES, self.id, first, after, last, before)


@strawberry.input
class WebhookCreateInput:
    organization_id: strawberry.ID
    project_id: strawberry.ID | None = None
    url: str = strawberry.field(description="`https://…`, leading to a public address.")
    events: list[models.EventKind] = strawberry.field(
        default_factory=list, description="Empty: all that there are."
    )


@strawberry.input(description="Only what is given changes.")
class WebhookUpdateInput:
    url: str | None = None
    events: list[models.EventKind] | None = None
    enabled: bool | None = strawberry.field(
        default=None, description="Once switched on again, it is told of what happens from then on."
    )


@strawberry.type
class WebhookPayload(MutationPayload):
    webhook: Webhook | None = None


@strawberry.type
class WebhookCreatePayload(MutationPayload):
    webhook: Webhook | None = None
    signing_secret: str | None = strawberry.field(
        default=None, description="Shown once: `whsec_…`, as Standard Webhooks' libraries take it."
    )


@strawberry.type
class WebhookDeletePayload(MutationPayload):
    deleted_id: strawberry.ID | None = None


@strawberry.type
class WebhookDeliveryPayload(MutationPayload):
    delivery: WebhookDelivery | None = None


@strawberry.type
class WebhookMutations:
    @strawberry.mutation(description="It is told of what happens from now on.")
    async def webhook_create(
        self, info: Info, input: WebhookCreateInput, idempotency_key: Key = None
    ) -> WebhookCreatePayload:
        async def work(session: WriteSession, actor: Actor) -> WebhookCreatePayload:
            container = info.context.container
            project = input.project_id
            row, secret = await service.create(
                session,
                actor,
                await find.organization(session, actor, id=input.organization_id),
                container.secret_box,
                guard_of(container.settings),
                url=input.url,
                kinds=input.events,
                project=None if project is None else await find.project(session, actor, id=project),
            )
            return WebhookCreatePayload(webhook=shown(row), signing_secret=secret)

        return await mutate(info, WebhookCreatePayload, work, key=idempotency_key)

    @strawberry.mutation
    async def webhook_update(
        self, info: Info, id: strawberry.ID, input: WebhookUpdateInput
    ) -> WebhookPayload:
        async def work(session: WriteSession, actor: Actor) -> WebhookPayload:
            row = await service.update(
                session,
                actor,
                await queries.find(session, actor, id),
                guard_of(info.context.container.settings),
                url=input.url,
                kinds=input.events,
                enabled=input.enabled,
            )
            return WebhookPayload(webhook=shown(row))

        return await mutate(info, WebhookPayload, work)

    @strawberry.mutation(description="With its deliveries; what was not sent yet is not.")
    async def webhook_delete(self, info: Info, id: strawberry.ID) -> WebhookDeletePayload:
        async def work(session: WriteSession, actor: Actor) -> WebhookDeletePayload:
            await service.delete(session, actor, await queries.find(session, actor, id))
            return WebhookDeletePayload(deleted_id=id)

        return await mutate(info, WebhookDeletePayload, work)

    @strawberry.mutation(description="Send a message that tells of nothing.")
    async def webhook_test(self, info: Info, id: strawberry.ID) -> WebhookDeliveryPayload:
        async def work(session: WriteSession, actor: Actor) -> WebhookDeliveryPayload:
            row = await service.send_test(session, actor, await queries.find(session, actor, id))
            return WebhookDeliveryPayload(delivery=shown(row))

        return await mutate(info, WebhookDeliveryPayload, work)

    @strawberry.mutation(
        description="Send it again at once, whatever became of it: with the same id and body."
    )
    async def webhook_delivery_retry(self, info: Info, id: strawberry.ID) -> WebhookDeliveryPayload:
        async def work(session: WriteSession, actor: Actor) -> WebhookDeliveryPayload:
            delivery, webhook = await queries.find_delivery(session, actor, id)
            row = await service.retry(session, actor, delivery, webhook)
            return WebhookDeliveryPayload(delivery=shown(row))

        return await mutate(info, WebhookDeliveryPayload, work)
