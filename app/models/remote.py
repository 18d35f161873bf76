"""An app's code elsewhere: where it is fetched from, the pushes told of by its host, and what the host is told."""

from __future__ import annotations

import enum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id, Timestamp, enum_column


class RemoteHost(enum.StrEnum):
    """Whose format of webhooks and of statuses a remote speaks."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"


class Remote(Base):
    """At most one an app. Branches are mirrored from it and deployed as if ``user_id`` had pushed them."""

    __tablename__ = "remote"

    app_id: Mapped[str] = mapped_column(
        String(40), ForeignKey("app.id", ondelete="CASCADE"), primary_key=True
    )
    host: Mapped[RemoteHost] = mapped_column(enum_column(RemoteHost))
    url: Mapped[str] = mapped_column(Text)
    """``https://…``, without credentials."""
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    """Who linked it; None for the platform's operator."""
    hook_secret: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted; what the host signs its messages with."""
    hook_key_id: Mapped[str] = mapped_column(String(16))
    token: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Encrypted; reads the code and writes statuses. None: the code is public."""
    token_key_id: Mapped[str | None] = mapped_column(String(16))
    report_statuses: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[CreatedAt]


class RemotePushStatus(enum.StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class RemotePush(Base):
    """A push that the host told of: what it says is only a hint to look; the fetch decides."""

    __tablename__ = "remote_push"
    __table_args__ = (
        UniqueConstraint("app_id", "delivery_id"),
        Index(
            "ix_remote_push_pending", "next_attempt_at", postgresql_where=text("status = 'pending'")
        ),
    )

    id: Mapped[Id]
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"))
    delivery_id: Mapped[str] = mapped_column(String(128))
    """The host's: a message that comes twice is one row."""
    ref: Mapped[str] = mapped_column(Text)
    status: Mapped[RemotePushStatus] = mapped_column(enum_column(RemotePushStatus))
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[Timestamp | None]
    message: Mapped[str | None] = mapped_column(Text)
    """What became of it, in words."""
    push_id: Mapped[str | None] = mapped_column(ForeignKey("push.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[Timestamp | None]


class CommitStatus(Base):
    """What a host was last told of a deployment; the deployment's row says what it should know."""

    __tablename__ = "commit_status"

    deployment_id: Mapped[str] = mapped_column(
        String(40), ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True
    )
    sent: Mapped[str | None] = mapped_column(String(16))
    """``pending``, ``success`` …; None: nothing yet."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Since something last succeeded."""
    next_attempt_at: Mapped[Timestamp | None]
    error: Mapped[str | None] = mapped_column(Text)
