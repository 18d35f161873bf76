"""Outgoing webhooks, and each message to one: the queue and its history in one table."""

from __future__ import annotations

import enum

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Timestamp, enum_column


class Webhook(Base):
    __tablename__ = "webhook"

    id: Mapped[Id]
    organization_id: Mapped[str] = mapped_column(
        ForeignKey("organization.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str | None] = mapped_column(
        ForeignKey("project.id", ondelete="CASCADE"), index=True
    )
    """Only events of this project; None: of all."""
    url: Mapped[str] = mapped_column(Text)
    kinds: Mapped[list[str]] = mapped_column(ARRAY(String(32)))
    """Only events of these kinds; empty: of all."""
    secret_ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(String(16))
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    """Why the platform switched it off; None when a person did."""
    failing_since: Mapped[Timestamp | None]
    """No delivery has succeeded since then."""
    cursor: Mapped[int] = mapped_column(BigInteger)
    """The last event that was looked at: later ones have no delivery yet."""
    created_at: Mapped[CreatedAt]


class DeliveryStatus(enum.StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It is not tried again, unless somebody asks for it."""


class WebhookDelivery(Base):
    """``id`` is sent as ``webhook-id``: the same at each attempt, so that a receiver can tell repetitions."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_id"),
        Index(
            "ix_webhook_delivery_pending",
            "webhook_id",
            "next_attempt_at",
            postgresql_where=text("status = 'pending'"),
        ),
    )

    id: Mapped[Id]
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    event_id: Mapped[int | None] = mapped_column(BigInteger)
    """None for a test."""
    kind: Mapped[str] = mapped_column(String(32))
    body: Mapped[str] = mapped_column(Text)
    """Exactly the bytes that are sent, and signed anew at each attempt."""
    status: Mapped[DeliveryStatus] = mapped_column(enum_column(DeliveryStatus))
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[Timestamp | None]
    response_status: Mapped[int | None]
    response_excerpt: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    """Why there was no answer, in words."""
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[Timestamp | None]
