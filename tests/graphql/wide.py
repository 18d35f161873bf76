"""A tenant in which every connection of the graph has as many rows as is asked for, under one parent each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app import models
from app.access.actor import Actor
from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.ids import new_id
from app.tokens import service as tokens
from tests.factories import Placed, make_instance, make_user
from tests.graphql.test_statements import Made, deployed

_LATER = datetime(2100, 1, 1, tzinfo=UTC)


async def make_wide(database: Database, box: SecretBox, *, name: str, size: int) -> Made:
    """The parent that has them is the first of its own list: pages of one lead to it."""
    first = await make_instance(database, organization=name, project="p-0", app="web-0")
    actor = await make_user(database, first.organization, name=name)
    await deployed(database, box, actor, first, size)
    for number in range(1, size):
        await make_instance(database, organization=name, project=f"p-{number}")
        await make_instance(database, organization=name, project="p-0", app=f"web-{number}")
        placed = await make_instance(
            database, organization=name, project="p-0", app="web-0", environment=f"q-{number}"
        )
        await _of_the_last_push(database, first, placed)
    async with database.write_transaction() as session:
        for number in range(size):
            await _beside(session, actor, first, number)
    return Made(actor, first.project.id)


async def _of_the_last_push(database: Database, first: Placed, placed: Placed) -> None:
    """One more deployment of it, to another environment."""
    async with database.write_transaction() as session:
        push = await session.scalar(
            models.Push.__table__.select()
            .with_only_columns(models.Push.id)
            .where(models.Push.app_id == first.app.id)
            .order_by(models.Push.id.desc())
            .limit(1)
        )
        session.add(
            models.Deployment(
                id=new_id("dep"),
                instance_id=placed.instance.id,
                number=1,
                status=models.DeploymentStatus.SUCCEEDED,
                trigger=models.DeploymentTrigger.GIT_PUSH,
                push_id=push,
            )
        )


async def _beside(session: WriteSession, actor: Actor, first: Placed, number: int) -> None:
    """What belongs to the organization, the project, the app and the instance besides."""
    organization, project = first.organization.id, first.project.id
    user = await session.get(models.User, actor.user_id)
    assert user is not None
    if number:
        user = models.User(id=new_id("usr"), name=f"{first.organization.slug}-{number}")
        other = models.Organization(
            id=new_id("org"), slug=f"zz-{user.name}", display_name="Another"
        )
        session.add_all([user, other])
        await session.flush()
        session.add(_member(other.id, str(actor.user_id)))
        session.add(_member(organization, user.id))
        await tokens.create(session, await _of(session, actor), f"token {number}")
    makers: list[Callable[[], Any]] = [
        lambda: models.ProjectMembership(
            id=new_id("pmb"), project_id=project, user_id=user.id, role=models.Role.VIEWER
        ),
        lambda: models.Invitation(
            id=new_id("inv"),
            organization_id=organization,
            project_id=project,
            email=f"{number}@example.com",
            role=models.Role.VIEWER,
            secret_hash=new_id("x").encode(),
            expires_at=_LATER,
        ),
        lambda: models.AuditEntry(
            id=new_id("aud"),
            action="app.create",
            summary="Created an app.",
            user_name="ada",
            organization_id=organization,
            path="",
        ),
        lambda: models.Event(
            kind=models.EventKind.SCALE_CHANGED,
            organization_id=organization,
            instance_id=first.instance.id,
            user_id=user.id,
        ),
    ]
    session.add_all([make() for make in makers])
    await _outside(session, first, number)


async def _outside(session: WriteSession, first: Placed, number: int) -> None:
    """Webhooks with deliveries, and a remote with what it told of."""
    webhook = models.Webhook(
        id=new_id("whk"),
        organization_id=first.organization.id,
        project_id=first.project.id,
        url="https://hooks.example.com",
        kinds=[],
        secret_ciphertext=b"",
        key_id="k",
        cursor=0,
    )
    session.add(webhook)
    await session.flush()
    if number == 0:
        session.add(
            models.Remote(
                app_id=first.app.id,
                host=models.RemoteHost.GITEA,
                url="https://git.example.com/x",
                hook_secret=b"",
                hook_key_id="k",
            )
        )
        first_webhook = webhook.id
    else:
        first_webhook = str(
            await session.scalar(
                models.Webhook.__table__.select()
                .with_only_columns(models.Webhook.id)
                .where(models.Webhook.organization_id == first.organization.id)
                .order_by(models.Webhook.id)
                .limit(1)
            )
        )
    session.add(
        models.WebhookDelivery(
            id=new_id("whd"),
            webhook_id=first_webhook,
            event_id=number,
            kind="ping",
            body="{}",
            status=models.DeliveryStatus.SUCCEEDED,
        )
    )
    session.add(
        models.RemotePush(
            id=new_id("rps"),
            app_id=first.app.id,
            delivery_id=str(number),
            ref="refs/heads/main",
            status=models.RemotePushStatus.DONE,
        )
    )
    await session.flush()


def _member(organization_id: str, user_id: str) -> models.Membership:
    return models.Membership(
        id=new_id("mem"),
        organization_id=organization_id,
        user_id=user_id,
        role=models.Role.OWNER,
    )


async def _of(session: WriteSession, actor: Actor) -> models.User:
    found = await session.get(models.User, actor.user_id)
    assert found is not None
    return found
