"""A ref update that was received, recorded before the ref moves so that a crash loses nothing."""

from __future__ import annotations

import enum

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Timestamp, enum_column


class PushStatus(enum.StrEnum):
    RECEIVED = "received"
    """Recorded, the ref not yet known to have moved. Recovery compares the repository's ref."""
    DEPLOYED = "deployed"
    SKIPPED = "skipped"
    REJECTED = "rejected"


class Push(Base):
    __tablename__ = "push"

    id: Mapped[Id]
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user_account.id", ondelete="SET NULL"))
    token_id: Mapped[str | None] = mapped_column(String(40))
    """Set for a token that was made for less than its user may. No foreign key: when the token is gone, that
    must not make the push be more."""
    ref: Mapped[str] = mapped_column(Text)
    before_sha: Mapped[str] = mapped_column(String(64))
    after_sha: Mapped[str] = mapped_column(String(64))
    """All zeros: the branch was deleted."""
    status: Mapped[PushStatus] = mapped_column(enum_column(PushStatus), index=True)
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it was skipped or rejected, or which preview it made, as the client was told."""
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[Timestamp | None]
