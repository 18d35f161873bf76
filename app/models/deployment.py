"""Releases (build + variables + scale, frozen) and deployments (one release being rolled out)."""

from __future__ import annotations

import enum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Timestamp, enum_column


class DeploymentStatus(enum.StrEnum):
    QUEUED = "queued"
    BUILDING = "building"
    RELEASING = "releasing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SUPERSEDED = "superseded"


TERMINAL_STATUSES = frozenset(
    {
        DeploymentStatus.SUCCEEDED,
        DeploymentStatus.FAILED,
        DeploymentStatus.CANCELED,
        DeploymentStatus.SUPERSEDED,
    }
)


class DeploymentPhase(enum.StrEnum):
    BUILD = "build"
    RELEASE = "release"
    SCHEDULE = "schedule"
    HEALTH_CHECK = "health_check"
    ROUTE = "route"


class DeploymentTrigger(enum.StrEnum):
    GIT_PUSH = "git_push"
    API = "api"
    ROLLBACK = "rollback"
    PROMOTION = "promotion"
    CONFIG_CHANGE = "config_change"
    SCALE = "scale"


class StepStatus(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class FailureCode(enum.StrEnum):
    """Why a deployment failed. Each has a plain sentence and a hint where it is raised."""

    NOTHING_TO_BUILD = "nothing_to_build"
    BUILD_FAILED = "build_failed"
    BUILD_TIMEOUT = "build_timeout"
    BUILD_LIMIT = "build_limit"
    UNSAFE_SOURCE = "unsafe_source"
    BUILDER_UNAVAILABLE = "builder_unavailable"
    IMAGE_PUSH_FAILED = "image_push_failed"
    ENGINE_UNSUPPORTED = "engine_unsupported"
    NO_CAPACITY = "no_capacity"
    CRASH_LOOP = "crash_loop"
    PORT_NOT_LISTENING = "port_not_listening"
    HEALTH_CHECK_TIMEOUT = "health_check_timeout"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    INTERNAL = "internal"


class Release(Base):
    """Immutable. A rollback deploys an old one again: code, variables and scale together."""

    __tablename__ = "release"
    __table_args__ = (UniqueConstraint("instance_id", "number"),)

    id: Mapped[Id]
    instance_id: Mapped[str] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"))
    number: Mapped[int]
    build_id: Mapped[str] = mapped_column(ForeignKey("build.id", ondelete="RESTRICT"), index=True)
    env_ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted JSON object of every variable, as frozen."""
    key_id: Mapped[str] = mapped_column(String(16))
    env_digests: Mapped[dict[str, str]] = mapped_column(JSONB)
    """Name to keyed hash: what changed between two releases, without opening either."""
    replicas: Mapped[int]
    cpu_millis: Mapped[int]
    memory_mb: Mapped[int]
    container_port: Mapped[int]
    created_at: Mapped[CreatedAt]


class Deployment(Base):
    __tablename__ = "deployment"
    __table_args__ = (
        UniqueConstraint("instance_id", "number"),
        UniqueConstraint("push_id", "instance_id"),
        Index(
            "ix_deployment_unfinished",
            "instance_id",
            postgresql_where=text("status IN ('queued', 'building', 'releasing')"),
        ),
    )

    id: Mapped[Id]
    instance_id: Mapped[str] = mapped_column(ForeignKey("instance.id", ondelete="CASCADE"))
    number: Mapped[int]
    status: Mapped[DeploymentStatus] = mapped_column(enum_column(DeploymentStatus))
    phase: Mapped[DeploymentPhase | None] = mapped_column(enum_column(DeploymentPhase))
    trigger: Mapped[DeploymentTrigger] = mapped_column(enum_column(DeploymentTrigger))
    push_id: Mapped[str | None] = mapped_column(ForeignKey("push.id", ondelete="SET NULL"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user_account.id", ondelete="SET NULL"))
    ref: Mapped[str | None] = mapped_column(Text)
    commit_sha: Mapped[str | None] = mapped_column(String(64))
    commit_message: Mapped[str | None] = mapped_column(Text)
    build_id: Mapped[str | None] = mapped_column(
        ForeignKey("build.id", ondelete="SET NULL"), index=True
    )
    release_id: Mapped[str | None] = mapped_column(
        ForeignKey("release.id", ondelete="SET NULL"), index=True
    )
    source_deployment_id: Mapped[str | None] = mapped_column(
        ForeignKey("deployment.id", ondelete="SET NULL")
    )
    """The deployment rolled back to or promoted."""
    superseded_by_id: Mapped[str | None] = mapped_column(
        ForeignKey("deployment.id", ondelete="SET NULL")
    )
    cancel_requested_at: Mapped[Timestamp | None]
    scheduler_index: Mapped[str | None] = mapped_column(String(40))
    """The job's modify index after our registration: proof that it is ours."""
    desired_replicas: Mapped[int] = mapped_column(default=0)
    healthy_replicas: Mapped[int] = mapped_column(default=0)
    failure_code: Mapped[FailureCode | None] = mapped_column(enum_column(FailureCode))
    failure_phase: Mapped[DeploymentPhase | None] = mapped_column(enum_column(DeploymentPhase))
    failure_message: Mapped[str | None] = mapped_column(Text)
    failure_hint: Mapped[str | None] = mapped_column(Text)
    failure_log_tail: Mapped[list[Any]] = mapped_column(JSONB, default=list)
    created_at: Mapped[CreatedAt]
    started_at: Mapped[Timestamp | None]
    finished_at: Mapped[Timestamp | None]


class DeploymentStep(Base):
    __tablename__ = "deployment_step"

    deployment_id: Mapped[str] = mapped_column(
        ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True
    )
    phase: Mapped[DeploymentPhase] = mapped_column(enum_column(DeploymentPhase), primary_key=True)
    status: Mapped[StepStatus] = mapped_column(enum_column(StepStatus))
    message: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[Timestamp | None]
    finished_at: Mapped[Timestamp | None]
