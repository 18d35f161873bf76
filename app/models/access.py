"""Who may do what: users, their API tokens, and their role in each organization."""

from __future__ import annotations

import enum

from sqlalchemy import ARRAY, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Timestamp, enum_column


class Role(enum.StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class User(Base):
    __tablename__ = "user_account"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200), unique=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    """A platform operator: every permission in every organization."""
    email: Mapped[str | None] = mapped_column(String(320), unique=True)
    """In lower case. To sign in with and to write to; it proves nothing, and joins no accounts."""
    password_hash: Mapped[str | None] = mapped_column(String(200))
    """argon2id, with its parameters; null for who signs in otherwise, or not at all."""
    created_at: Mapped[CreatedAt]


class ApiToken(Base):
    """A bearer secret. Only the SHA-256 of its 256 random bits is kept; it is shown once."""

    __tablename__ = "api_token"

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(
        ForeignKey("user_account.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(200))
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    secret_hint: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Timestamp | None]
    revoked_at: Mapped[Timestamp | None]
    last_used_at: Mapped[Timestamp | None]
    permissions: Mapped[list[str] | None] = mapped_column(ARRAY(String(40)))
    """What it may do at most; null: all that its user may."""
    organization_id: Mapped[str | None] = mapped_column(
        ForeignKey("organization.id", ondelete="CASCADE")
    )
    """With the three below: the only part of the platform that it reaches; all null: no limit. A token goes
    with its resource, so that it never comes to reach more."""
    project_id: Mapped[str | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    environment_id: Mapped[str | None] = mapped_column(
        ForeignKey("environment.id", ondelete="CASCADE")
    )
    app_id: Mapped[str | None] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"))


class Membership(Base):
    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("organization_id", "user_id"),)

    id: Mapped[Id]
    organization_id: Mapped[str] = mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(
        ForeignKey("user_account.id", ondelete="CASCADE"), index=True
    )
    role: Mapped[Role] = mapped_column(enum_column(Role))
    created_at: Mapped[CreatedAt]


class ProjectMembership(Base):
    """A role in one project: raises the one in its organization, or stands alone."""

    __tablename__ = "project_membership"
    __table_args__ = (UniqueConstraint("project_id", "user_id"),)

    id: Mapped[Id]
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(
        ForeignKey("user_account.id", ondelete="CASCADE"), index=True
    )
    role: Mapped[Role] = mapped_column(enum_column(Role))
    created_at: Mapped[CreatedAt]
