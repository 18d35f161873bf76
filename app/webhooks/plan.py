"""What a webhook may be, what is sent, and when it is tried again: pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from app.errors import LimitReached
from app.models import Event, EventKind

MAX_WEBHOOKS = 20
"""Of an organization."""
TEST_KIND = "webhook.test"
KEPT_DAYS = 30
"""Deliveries that have ended are shown for so long."""
GONE = 410
"""The receiver says that it wants no more."""

PAUSES = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
"""Seconds after the first failed attempt, the second … as Standard Webhooks recommends: three days in all
(5 s, 5 min, 35 min, 2 h 35, 7 h 35, 17 h 35, 31 h 35, 51 h 35, 75 h 35 after the first)."""


def pause_after(attempts: int) -> int | None:
    """Seconds until the next one; None: that was the last."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def succeeded(status: int) -> bool:
    """2xx: a redirect is no acceptance, and is not followed."""
    return 200 <= status < 300


def wants(kinds: Collection[str], project_id: str | None, event: Event) -> bool:
    if project_id is not None and event.project_id != project_id:
        return False
    return not kinds or event.kind.value in kinds


def valid_kinds(kinds: Sequence[EventKind]) -> list[str]:
    """Each once, in the order of the alphabet; empty means all."""
    return sorted({kind.value for kind in kinds})


def body_of(event: Event, path: str | None, message: str) -> str:
    """Standard Webhooks' payload: ``type``, ``timestamp``, ``data``. ``path`` as it is called now."""
    ids = {
        "organizationId": event.organization_id,
        "projectId": event.project_id,
        "environmentId": event.environment_id,
        "appId": event.app_id,
        "instanceId": event.instance_id,
        "deploymentId": event.deployment_id,
        "userId": event.user_id,
    }
    data = {"path": path, "message": message, **ids, "details": event.payload}
    return _encoded(event.kind.value, event.created_at, data)


def test_body(now: datetime, organization_id: str) -> str:
    data = {
        "message": "A test, sent because somebody asked for it.",
        "organizationId": organization_id,
    }
    return _encoded(TEST_KIND, now, data)


def _encoded(kind: str, at: datetime, data: Mapping[str, Any]) -> str:
    payload = {"type": kind, "timestamp": at.isoformat(), "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def valid_retry_after(value: str | None) -> int:
    """Seconds, if the answer says so plainly; up to an hour."""
    return min(int(value), 3600) if value is not None and value.isascii() and value.isdigit() else 0


def require_room(count: int) -> None:
    if count >= MAX_WEBHOOKS:
        raise LimitReached(
            f"An organization has at most {MAX_WEBHOOKS} webhooks.",
            hint="Delete one that is not needed any more.",
        )
