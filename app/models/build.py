"""A commit made runnable, once, and shared by every environment that deploys it."""

from __future__ import annotations

import enum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Timestamp, enum_column
from app.models.deployment import FailureCode


class BuildStatus(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class BuildKind(enum.StrEnum):
    IMAGE = "image"
    SLUG = "slug"


class Build(Base):
    """Unique by what goes in: the commit and a keyed hash of the build-time variables.

    A failed or cancelled build does not hold its place: the partial unique index in the migration
    covers only live ones, so that a retry is a new row and the old log stays readable.
    """

    __tablename__ = "build"
    __table_args__ = (UniqueConstraint("app_id", "commit_sha", "inputs_digest", "attempt"),)

    id: Mapped[Id]
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"))
    commit_sha: Mapped[str] = mapped_column(String(64))
    inputs_digest: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[int] = mapped_column(default=1)
    build_env: Mapped[bytes | None]
    """Encrypted JSON of the build-time variables, cleared when the build ends."""
    build_env_key_id: Mapped[str | None] = mapped_column(String(16))
    status: Mapped[BuildStatus] = mapped_column(enum_column(BuildStatus), index=True)
    kind: Mapped[BuildKind | None] = mapped_column(enum_column(BuildKind))
    artifact: Mapped[str | None] = mapped_column(Text)
    """An image reference by digest, or a slug's SHA-256."""
    artifact_bytes: Mapped[int | None] = mapped_column(BigInteger)
    processes: Mapped[dict[str, str]] = mapped_column(JSONB, default=dict)
    """Procfile lines, process type to command; empty for an image that brings its own command."""
    runtime: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    """What a node needs to run it, e.g. ``{"language": "python", "version": "3.11"}``."""
    failure_code: Mapped[FailureCode | None] = mapped_column(enum_column(FailureCode))
    failure_message: Mapped[str | None] = mapped_column(Text)
    failure_hint: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
    started_at: Mapped[Timestamp | None]
    finished_at: Mapped[Timestamp | None]


class BuildLogLine(Base):
    __tablename__ = "build_log_line"

    build_id: Mapped[str] = mapped_column(
        ForeignKey("build.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
