"""Writing the audit log: every verb that changes something for somebody says so, in its own transaction.

``guard.py`` refuses the commit of one that did not.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.find import Place
from app.audit.actions import Action
from app.db import WriteSession
from app.ids import new_id
from app.models import AuditEntry, Organization


async def record(
    session: AsyncSession,
    actor: Actor,
    action: Action,
    where: Place | Organization | None,
    summary: str,
    *,
    subject: str | None = None,
) -> None:
    """``summary`` is one sentence for people, with names and never a secret's value.

    ``subject`` is the id of what was changed, when it is not the place itself. In a read session the entry
    is committed at once: whatever it tells of may be shown only afterwards.
    """
    values = entry(actor, action, where, summary, subject=subject)
    if isinstance(session, WriteSession):
        session.act_for(actor)
        session.add(AuditEntry(**values))
    else:
        await session.execute(insert(AuditEntry).values(values))


def entry(
    actor: Actor,
    action: Action,
    where: Place | Organization | None,
    summary: str,
    *,
    subject: str | None = None,
) -> dict[str, Any]:
    """The row's columns."""
    return {
        "id": new_id("aud"),
        "action": action.value,
        "summary": summary,
        "user_id": actor.user_id,
        "user_name": actor.name,
        "token_id": actor.token_id,
        "address": actor.address,
        "request_id": actor.request_id,
        "subject_id": subject or _deepest(where),
        **_standing(where),
    }


def _standing(where: Place | Organization | None) -> dict[str, str | None]:
    if where is None:
        return {"path": ""}
    if isinstance(where, Organization):
        return {"path": where.slug, "organization_id": where.id}
    scope = where.scope
    return {
        "path": where.path,
        "organization_id": scope.organization_id,
        "project_id": scope.project_id,
        "environment_id": scope.environment_id,
        "app_id": scope.app_id,
    }


def _deepest(where: Place | Organization | None) -> str | None:
    if where is None or isinstance(where, Organization):
        return None if where is None else where.id
    noun = where.instance or where.app or where.environment or where.project
    return noun.id
