"""Who did what, to what, from where: written once, and refused by the database to be changed."""

from __future__ import annotations

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id


class AuditEntry(Base):
    """A trigger of the table refuses UPDATE, DELETE and TRUNCATE.

    The ids are no foreign keys, and names are copied: an entry outlives what it tells of, unchanged. It
    never holds a secret's value.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_organization_id_id", "organization_id", "id"),)

    id: Mapped[Id]
    action: Mapped[str] = mapped_column(String(64))
    """An ``app.audit.actions.Action``."""
    summary: Mapped[str] = mapped_column(Text)
    """One sentence, for people."""
    user_id: Mapped[str | None] = mapped_column(String(40))
    """None: the operator, with a shell on the platform's machine."""
    user_name: Mapped[str] = mapped_column(String(200))
    token_id: Mapped[str | None] = mapped_column(String(40))
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    organization_id: Mapped[str | None] = mapped_column(String(40))
    """None for what belongs to no organization: users, tokens without a scope."""
    project_id: Mapped[str | None] = mapped_column(String(40))
    environment_id: Mapped[str | None] = mapped_column(String(40))
    app_id: Mapped[str | None] = mapped_column(String(40))
    subject_id: Mapped[str | None] = mapped_column(String(40))
    """What was changed or read, of whatever kind."""
    path: Mapped[str] = mapped_column(Text)
    """``acme/storefront/web/production``, as far as it goes; empty for what stands nowhere."""
    created_at: Mapped[CreatedAt]
