"""Organization → project → environment and app → instance (one app in one environment)."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Slug, Timestamp


class Organization(Base):
    __tablename__ = "organization"

    id: Mapped[Id]
    slug: Mapped[Slug] = mapped_column(unique=True)
    display_name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[CreatedAt]


class Project(Base):
    """Deleting sets ``deleted_at``: no pushes, no deploys, apps stopped, until restored or purged."""

    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("organization_id", "slug"),)

    id: Mapped[Id]
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id", ondelete="RESTRICT"))
    slug: Mapped[Slug]
    display_name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[Timestamp | None]
    purge_requested_at: Mapped[Timestamp | None]
    """Set on a deleted project: it and its repositories are being removed for good."""


class Environment(Base):
    """``deleted_at`` set means its instances are being torn down; the row goes when they are gone."""

    __tablename__ = "environment"
    __table_args__ = (
        UniqueConstraint("project_id", "slug"),
        Index(
            "uq_environment_default", "project_id", unique=True, postgresql_where=text("is_default")
        ),
    )

    id: Mapped[Id]
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    slug: Mapped[Slug]
    display_name: Mapped[str] = mapped_column(String(200))
    branch_pattern: Mapped[str] = mapped_column(String(255))
    is_default: Mapped[bool] = mapped_column(default=False)
    protected_for: Mapped[list[str] | None] = mapped_column(ARRAY(String(32)))
    """The roles that may deploy here, and read or write its variables, besides owners; null: any that may
    elsewhere."""
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[Timestamp | None]
    preview_branch: Mapped[str | None] = mapped_column(Text)
    """Set on one that a branch made by the project's preview rule: it goes with that branch."""
    expires_at: Mapped[Timestamp | None]
    """A preview that is not deployed to until then is deleted."""

    @property
    def is_preview(self) -> bool:
        return self.preview_branch is not None


class PreviewRule(Base):
    """A branch that ``branch_pattern`` matches best makes its own environment; at most one rule a project."""

    __tablename__ = "preview_rule"

    project_id: Mapped[str] = mapped_column(
        String(40), ForeignKey("project.id", ondelete="CASCADE"), primary_key=True
    )
    branch_pattern: Mapped[str] = mapped_column(String(255))
    slug_template: Mapped[str] = mapped_column(String(63))
    """``{branch}`` stands for the branch as a slug."""
    source_environment_id: Mapped[str | None] = mapped_column(
        ForeignKey("environment.id", ondelete="SET NULL")
    )
    """Whose variables and scale are copied. None: it was removed, and nothing is made any more."""
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    """Who set it, and may read what is copied; None for the platform's operator."""
    max_environments: Mapped[int]
    idle_hours: Mapped[int | None]
    """None: only with its branch."""
    created_at: Mapped[CreatedAt]


class App(Base):
    """``repository_key`` names the git repository behind the Repositories port; it is the app's id."""

    __tablename__ = "app"
    __table_args__ = (UniqueConstraint("project_id", "slug"),)

    id: Mapped[Id]
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    slug: Mapped[Slug]
    display_name: Mapped[str] = mapped_column(String(200))
    container_port: Mapped[int] = mapped_column(default=8080)
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[Timestamp | None]

    @property
    def repository_key(self) -> str:
        return self.id


class Instance(Base):
    """One app in one environment: what env vars, scale, deployments and containers belong to.

    Scale and env vars here are *desired*; a release freezes them. What differs from the current
    release is staged: the next deployment, or an explicit apply, rolls it out.
    """

    __tablename__ = "instance"
    __table_args__ = (
        UniqueConstraint("app_id", "environment_id"),
        CheckConstraint("replicas >= 0", name="replicas"),
        CheckConstraint("cpu_millis > 0", name="cpu_millis"),
        CheckConstraint("memory_mb > 0", name="memory_mb"),
    )

    id: Mapped[Id]
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"))
    environment_id: Mapped[str] = mapped_column(
        ForeignKey("environment.id", ondelete="CASCADE"), index=True
    )
    hostname: Mapped[str] = mapped_column(String(253), unique=True)
    """``{org}.{project}-{app}-{env}.{base}``: unique here, because different slugs can spell one name."""
    replicas: Mapped[int] = mapped_column(default=1)
    cpu_millis: Mapped[int] = mapped_column(default=200)
    memory_mb: Mapped[int] = mapped_column(default=256)
    current_release_id: Mapped[str | None] = mapped_column(
        ForeignKey("release.id", ondelete="SET NULL", use_alter=True)
    )
    """The release that last became healthy, and that the engine should be running."""
    deployment_count: Mapped[int] = mapped_column(default=0)
    release_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[CreatedAt]


class EnvVar(Base):
    """A desired variable. ``ciphertext`` is AES-256-GCM under the key that ``key_id`` names."""

    __tablename__ = "env_var"

    instance_id: Mapped[str] = mapped_column(
        ForeignKey("instance.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))
    """Keyed hash of the value: tells "changed" without revealing it."""
    is_build: Mapped[bool] = mapped_column(default=False)
    """Also given to the build, as a secret mount; never a layer or an argument."""
    updated_at: Mapped[CreatedAt]
