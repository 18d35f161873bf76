"""Every SELECT of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import scope_of
from app.access.permissions import Permission, require
from app.audit.actions import Action
from app.errors import InvalidInput
from app.models import AuditEntry, Organization

MAXIMUM_PAGE = 100


@dataclass(frozen=True)
class AuditFilter:
    """What is None is not narrowed down."""

    actions: frozenset[Action] | None = None
    user: str | None = None
    """A user's name."""
    path: str | None = None
    """``acme/storefront``: that place, and all below it."""
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.actions is not None:
            found.append(AuditEntry.action.in_([each.value for each in self.actions]))
        if self.user is not None:
            found.append(AuditEntry.user_name == self.user)
        if self.path is not None:
            path = self.path.strip("/")
            below = AuditEntry.path.startswith(f"{path}/", autoescape=True)
            found.append(or_(AuditEntry.path == path, below))
        if self.since is not None:
            found.append(AuditEntry.created_at >= _aware(self.since, "since"))
        if self.until is not None:
            found.append(AuditEntry.created_at < _aware(self.until, "until"))
        return found


def _aware(moment: datetime, field: str) -> datetime:
    if moment.tzinfo is None:
        raise InvalidInput(
            "The time has no time zone.", field=field, hint="Write it as 2027-01-31T12:00:00Z."
        )
    return moment


async def list_of(
    session: AsyncSession,
    actor: Actor,
    organization: Organization,
    wanted: AuditFilter,
    *,
    before: str | None = None,
    limit: int = MAXIMUM_PAGE,
) -> Sequence[AuditEntry]:
    """Newest first; ``before`` is the id of the last entry of the page before."""
    await require(session, actor, scope_of(organization), Permission.AUDIT_READ)
    statement = (
        select(AuditEntry)
        .where(AuditEntry.organization_id == organization.id, *wanted.conditions())
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(AuditEntry.id < before)
    return (await session.scalars(statement)).all()
