"""The reconcile driver's own tables: leases on pieces of work, and each reconciler's last status."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Timestamp


class Platform(Base):
    """One row: which platform this database is. Its jobs carry the id, so that two platforms on one Nomad,
    or a fresh database beside a running cluster, never take the other's apps for leftovers."""

    __tablename__ = "platform"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    measured_at: Mapped[Timestamp | None]
    """When some worker last measured what every instance uses."""
    measured_by: Mapped[str | None] = mapped_column(String(40))
    """Which one: what routers had counted by then, it alone remembers."""


class Lease(Base):
    """At most one worker acts on ``(kind, key)`` until ``expires_at``, judged by the database's clock."""

    __tablename__ = "lease"

    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    owner: Mapped[str] = mapped_column(String(80))
    fence: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[Timestamp]


class ReconcilerStatus(Base):
    """What a reconciler did last, for operators; written by the driver after each pass."""

    __tablename__ = "reconciler_status"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    worker: Mapped[str] = mapped_column(String(80))
    last_started_at: Mapped[Timestamp | None]
    last_finished_at: Mapped[Timestamp | None]
    last_error: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
