"""Mutations that were asked for with a key, so that asking again does not do them again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt


class IdempotencyKey(Base):
    """Committed with what the mutation did, or not at all: a failed attempt may be repeated."""

    __tablename__ = "idempotency_key"

    actor_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Of the token that asked, else of the user: two callers' keys are no business of each other."""
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_digest: Mapped[bytes]
    """SHA-256 of the mutation's name and arguments."""
    answer: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The payload's fields: ids of what it showed, and plain values. Never a secret."""
    created_at: Mapped[CreatedAt]
