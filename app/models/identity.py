"""How people prove who they are: identities of an OpenID provider, sessions, and links that are used once.

Every secret here has 256 random bits and is kept as its SHA-256 only; it is shown once.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.access import Role
from app.models.base import Base, CreatedAt, Id, Timestamp, enum_column

_USER = "user_account.id"


class UserIdentity(Base):
    """An account at an OpenID provider. Only issuer and subject say whose it is; the e-mail is for people."""

    __tablename__ = "user_identity"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey(_USER, ondelete="CASCADE"), index=True)
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320))
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[Timestamp | None]


class UserSession(Base):
    """A browser that is signed in. The row goes when it is signed out or revoked."""

    __tablename__ = "user_session"

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey(_USER, ondelete="CASCADE"), index=True)
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    address: Mapped[str] = mapped_column(String(64))
    """From where it was last used."""
    user_agent: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[Timestamp]
    """To the minute; the idle limit counts from here."""
    expires_at: Mapped[Timestamp] = mapped_column(index=True)
    """The absolute limit, whatever its use."""


class PasswordLink(Base):
    """Lets whoever holds it set one user's password, once. A newer one ends those before it."""

    __tablename__ = "password_link"

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey(_USER, ondelete="CASCADE"), unique=True)
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Timestamp]


class Invitation(Base):
    """A role in an organization, or in one project of it, for whoever holds the link. Used once."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("accepted_at IS NULL OR revoked_at IS NULL", name="ended_once"),
    )

    id: Mapped[Id]
    organization_id: Mapped[str] = mapped_column(
        ForeignKey("organization.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str | None] = mapped_column(
        ForeignKey("project.id", ondelete="CASCADE"), index=True
    )
    """None: a role in the organization."""
    email: Mapped[str] = mapped_column(String(320))
    role: Mapped[Role] = mapped_column(enum_column(Role))
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    invited_by_user_id: Mapped[str | None] = mapped_column(ForeignKey(_USER, ondelete="CASCADE"))
    """None: an operator with a shell."""
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Timestamp]
    accepted_at: Mapped[Timestamp | None]
    accepted_by_user_id: Mapped[str | None] = mapped_column(ForeignKey(_USER, ondelete="SET NULL"))
    revoked_at: Mapped[Timestamp | None]
