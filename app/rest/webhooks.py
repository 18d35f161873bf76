"""Outgoing webhooks of an organization, and the remote of an app."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import find
from app.access.actor import Actor
from app.access.find import scope_of
from app.access.permissions import Permission, require
from app.errors import NotFound
from app.models import (
    DeliveryStatus,
    EventKind,
    Organization,
    Remote,
    RemoteHost,
    Webhook,
    WebhookDelivery,
)
from app.outbound.guard import guard_of
from app.remotes import queries as remote_queries
from app.remotes import service as remotes
from app.rest.endpoint import Answer, Given, Nothing, ReadCall, WriteCall, read, write
from app.webhooks import queries, service


class WebhookAnswer(Answer, frozen=True):
    id: str
    url: str
    events: list[str]
    """Empty: all."""
    project_id: str | None
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime


class WebhookCreated(WebhookAnswer, frozen=True):
    signing_secret: str
    """Shown this once."""


class WebhookList(Answer, frozen=True):
    webhooks: list[WebhookAnswer]


class DeliveryAnswer(Answer, frozen=True):
    id: str
    kind: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    response_status: int | None
    response_excerpt: str | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class DeliveryList(Answer, frozen=True):
    deliveries: list[DeliveryAnswer]
    """The newest hundred, newest first."""


class WebhookCreate(Given, frozen=True):
    url: str
    events: list[EventKind] = []
    project: str | None = None
    """The slug of the only project to tell of."""


class WebhookUpdate(Given, frozen=True):
    url: str | None = None
    events: list[EventKind] | None = None
    enabled: bool | None = None


class RemoteAnswer(Answer, frozen=True):
    host: RemoteHost
    url: str
    hook_url: str
    has_token: bool
    report_statuses: bool
    created_at: datetime


class RemoteSet(RemoteAnswer, frozen=True):
    hook_secret: str | None
    """Shown this once, when it is new."""


class RemoteInput(Given, frozen=True):
    host: RemoteHost
    url: str
    token: str | None = None
    report_statuses: bool = False
    new_secret: bool = False


async def list_webhooks(call: ReadCall[Nothing]) -> WebhookList:
    """An organization's webhooks, for whoever may change them."""
    organization = await _organization(call.session, call.actor, call.path["org"])
    rows = await queries.of_organization(call.session, organization.id)
    return WebhookList(webhooks=[WebhookAnswer(**_fields(row)) for row in rows])


async def create_webhook(call: WriteCall[WebhookCreate]) -> WebhookCreated:
    """Tell a URL of what happens from now on; the answer has its signing secret."""
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    project = None
    if call.input.project is not None:
        slugs = (organization.slug, call.input.project)
        project = await find.project(call.session, call.actor, slugs=slugs)
    container = call.container
    row, secret = await service.create(
        call.session,
        call.actor,
        organization,
        container.secret_box,
        guard_of(container.settings),
        url=call.input.url,
        kinds=call.input.events,
        project=project,
    )
    return WebhookCreated(**_fields(row), signing_secret=secret)


async def update_webhook(call: WriteCall[WebhookUpdate]) -> WebhookAnswer:
    """Change its URL or events, or switch it off and on."""
    row = await service.update(
        call.session,
        call.actor,
        await _webhook(call.session, call.actor, call.path["org"], call.path["webhook"]),
        guard_of(call.container.settings),
        url=call.input.url,
        kinds=call.input.events,
        enabled=call.input.enabled,
    )
    return WebhookAnswer(**_fields(row))


async def delete_webhook(call: WriteCall[Nothing]) -> None:
    """Delete it with its deliveries."""
    row = await _webhook(call.session, call.actor, call.path["org"], call.path["webhook"])
    await service.delete(call.session, call.actor, row)


async def test_webhook(call: WriteCall[Nothing]) -> DeliveryAnswer:
    """Send a message that tells of nothing."""
    row = await _webhook(call.session, call.actor, call.path["org"], call.path["webhook"])
    return _delivery(await service.send_test(call.session, call.actor, row))


async def list_deliveries(call: ReadCall[Nothing]) -> DeliveryList:
    """What was sent to it in the last 30 days."""
    row = await _webhook(call.session, call.actor, call.path["org"], call.path["webhook"])
    found = await queries.deliveries_of(call.session, row.id)
    return DeliveryList(deliveries=[_delivery(one) for one in found])


async def retry_delivery(call: WriteCall[Nothing]) -> DeliveryAnswer:
    """Send it again at once, with the same id and body."""
    row = await _webhook(call.session, call.actor, call.path["org"], call.path["webhook"])
    delivery, webhook = await queries.find_delivery(call.session, call.actor, call.path["delivery"])
    if webhook.id != row.id:
        raise NotFound("There is no such delivery.", hint="They are kept for 30 days.")
    return _delivery(await service.retry(call.session, call.actor, delivery, webhook))


async def show_remote(call: ReadCall[Nothing]) -> RemoteAnswer:
    """Where the app's code is besides here; not found when nowhere."""
    app = await find.app(call.session, call.actor, slugs=call.slugs("app"))
    found = await remote_queries.live(call.session, app.id)
    if found is None:
        raise NotFound("The app is not linked with a remote.", hint="PUT links it.")
    return RemoteAnswer(**_remote(found[0], call.container.settings.external_url))


async def set_remote(call: WriteCall[RemoteInput]) -> RemoteSet:
    """Deploy what is pushed to a repository on GitHub, GitLab or Gitea as if you had pushed it here."""
    app = await find.app(call.session, call.actor, slugs=call.slugs("app"))
    container = call.container
    row, secret = await remotes.link(
        call.session,
        call.actor,
        app,
        container.secret_box,
        guard_of(container.settings),
        host=call.input.host,
        url=call.input.url,
        token=call.input.token,
        report_statuses=call.input.report_statuses,
        new_secret=call.input.new_secret,
    )
    return RemoteSet(**_remote(row, container.settings.external_url), hook_secret=secret)


async def unset_remote(call: WriteCall[Nothing]) -> None:
    """Unlink it; what was mirrored stays."""
    app = await find.app(call.session, call.actor, slugs=call.slugs("app"))
    await remotes.unlink(call.session, call.actor, app)


async def _organization(session: AsyncSession, actor: Actor, slug: str) -> Organization:
    """For whoever may change its webhooks."""
    organization = await find.organization(session, actor, slug=slug)
    await require(session, actor, scope_of(organization), Permission.WEBHOOKS_WRITE)
    return organization


async def _webhook(session: AsyncSession, actor: Actor, slug: str, id: str) -> Webhook:
    organization = await _organization(session, actor, slug)
    found = await queries.find(session, actor, id)
    if found.organization_id != organization.id:
        raise NotFound("There is no such webhook.", hint="Check the id, and who you are.")
    return found


def _fields(row: Webhook) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "events": row.kinds,
        "project_id": row.project_id,
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason,
        "failing_since": row.failing_since,
        "created_at": row.created_at,
    }


def _delivery(row: WebhookDelivery) -> DeliveryAnswer:
    return DeliveryAnswer(
        id=row.id,
        kind=row.kind,
        status=row.status,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        response_status=row.response_status,
        response_excerpt=row.response_excerpt,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _remote(row: Remote, base: str) -> dict[str, Any]:
    return {
        "host": row.host,
        "url": row.url,
        "hook_url": f"{base}/hooks/{row.app_id}/{row.host.value}",
        "has_token": row.token is not None,
        "report_statuses": row.report_statuses,
        "created_at": row.created_at,
    }


_ALL = "/api/orgs/{org}/webhooks/"
_ONE = "/api/orgs/{org}/webhooks/{webhook}"
_REMOTE = "/api/orgs/{org}/projects/{project}/apps/{app}/remote"

ENDPOINTS = (
    read(_ALL, list_webhooks, WebhookList),
    write("POST", _ALL, create_webhook, WebhookCreated, WebhookCreate, status=201),
    write("PATCH", _ONE, update_webhook, WebhookAnswer, WebhookUpdate),
    write("DELETE", _ONE, delete_webhook, None),
    write("POST", _ONE + "/test", test_webhook, DeliveryAnswer, status=202),
    read(_ONE + "/deliveries/", list_deliveries, DeliveryList),
    write(
        "POST", _ONE + "/deliveries/{delivery}/retry", retry_delivery, DeliveryAnswer, status=202
    ),
    read(_REMOTE, show_remote, RemoteAnswer),
    write("PUT", _REMOTE, set_remote, RemoteSet, RemoteInput),
    write("DELETE", _REMOTE, unset_remote, None),
)
