"""What happened, in the order in which it became visible: for people, subscriptions and webhooks.

And what was last told of each container, since engines say how things are and not what has happened.
"""

from __future__ import annotations

import enum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, enum_column


class EventKind(enum.StrEnum):
    """``{noun}.{what happened to it}``. A new kind needs no migration; an old one keeps its meaning."""

    DEPLOYMENT_CREATED = "deployment.created"
    """Payload: ``number``, ``trigger``, ``commitSha``."""
    DEPLOYMENT_SUCCEEDED = "deployment.succeeded"
    """Payload: ``number``, ``commitSha``; so too of the three below."""
    DEPLOYMENT_FAILED = "deployment.failed"
    """Payload: also ``code`` and ``message``."""
    DEPLOYMENT_CANCELED = "deployment.canceled"
    DEPLOYMENT_SUPERSEDED = "deployment.superseded"
    """Payload: also ``supersededById``."""
    CONTAINER_STARTED = "container.started"
    """Payload: ``name``, ``releaseId``; so too of the others of a container."""
    CONTAINER_CRASHED = "container.crashed"
    """It ended by itself. Payload: also ``exitCode``, ``oomKilled``, ``restarts``, ``message``."""
    CONTAINER_UNHEALTHY = "container.unhealthy"
    """Its check fails, so that it is sent no requests."""
    CONTAINER_HEALTHY = "container.healthy"
    """Its check passes, for the first time or again."""
    CONTAINER_STOPPED = "container.stopped"
    """It is gone: the platform or the engine ended it."""
    VARIABLES_CHANGED = "variables.changed"
    """Payload: ``set`` and ``unset``, lists of names and never values; ``deployed``."""
    SCALE_CHANGED = "scale.changed"
    """Payload: ``replicas``, ``cpuMillis``, ``memoryMb`` as they are now; ``deployed``."""
    ENVIRONMENT_CREATED = "environment.created"
    """Payload: ``slug``, ``branchPattern``, ``isPreview``; so too of the next."""
    ENVIRONMENT_DELETED = "environment.deleted"
    """Its apps are being stopped."""
    WEBHOOK_DISABLED = "webhook.disabled"
    """The platform switched one off. Payload: ``webhookId``, ``reason``."""


class Event(Base):
    """Written once, never changed, pruned by age.

    ``id`` is a cursor: it is given at the end of the transaction, under a lock, so that whoever has read
    up to one will find none before it later (``app.db.WriteSession.add_last``). The ids of what it is
    about are no foreign keys: it outlives them, so that a deletion can be told too.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_instance_id_id", "instance_id", "id"),
        Index("ix_event_organization_id_id", "organization_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[EventKind] = mapped_column(enum_column(EventKind))
    organization_id: Mapped[str] = mapped_column(String(40))
    project_id: Mapped[str | None] = mapped_column(String(40))
    environment_id: Mapped[str | None] = mapped_column(String(40))
    app_id: Mapped[str | None] = mapped_column(String(40))
    instance_id: Mapped[str | None] = mapped_column(String(40))
    deployment_id: Mapped[str | None] = mapped_column(String(40))
    user_id: Mapped[str | None] = mapped_column(String(40))
    """Who caused it; None for what the platform or the app did."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    """What may be shown to every member who may read the object: no values of variables."""
    created_at: Mapped[CreatedAt] = mapped_column(index=True)


class KnownContainer(Base):
    """A container as it was when its last event was told; gone with it."""

    __tablename__ = "known_container"

    instance_id: Mapped[str] = mapped_column(
        ForeignKey("instance.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    release_id: Mapped[str] = mapped_column(String(40))
    started: Mapped[bool]
    ended: Mapped[bool]
    healthy: Mapped[bool]
    restarts: Mapped[int]
