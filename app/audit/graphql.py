"""The audit log of an organization, for whoever may read it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app import models
from app.audit.actions import Action
from app.audit.queries import AuditFilter
from app.graphql.connection import Listing
from app.graphql.node import Node, shows

AUDIT_LOG = Listing(
    row=models.AuditEntry,
    parent=models.AuditEntry.organization_id,
    key=models.AuditEntry.id,
    descending=True,
    where=lambda wanted: [] if wanted is None else wanted.conditions(),
)


@shows(models.AuditEntry)
@strawberry.type(
    description="Who did what, to what, from where. Never changed; never holds a variable's value."
)
class AuditEntry(Node):
    action: str = strawberry.field(description="`{noun}.{verb}`, such as `deployment.create`.")
    summary: str = strawberry.field(description="One sentence.")
    user_id: strawberry.ID | None = strawberry.field(
        description="Null for the platform's operator."
    )
    user_name: str = strawberry.field(description="As it was then.")
    token_id: strawberry.ID | None = strawberry.field(
        description="Null for a browser's session, and for the platform's operator."
    )
    address: str | None
    request_id: str | None
    subject_id: strawberry.ID | None = strawberry.field(description="What was changed or read.")
    path: str = strawberry.field(description="Where that is: `acme/storefront/web/production`.")
    created_at: datetime


@strawberry.input(description="What is not given is not narrowed down.")
class AuditLogFilter:
    actions: list[Action] | None = None
    user: str | None = strawberry.field(default=None, description="A user's name.")
    path: str | None = strawberry.field(
        default=None, description="`acme/storefront`: that place, and all below it."
    )
    since: datetime | None = None
    until: datetime | None = None


def filter_of(given: AuditLogFilter | None) -> AuditFilter | None:
    if given is None:
        return None
    return AuditFilter(
        actions=None if given.actions is None else frozenset(given.actions),
        user=given.user,
        path=given.path,
        since=given.since,
        until=given.until,
    )
