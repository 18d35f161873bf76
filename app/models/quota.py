"""How much of the platform an organization may hold."""

from __future__ import annotations

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Quota(Base):
    """Limits of one organization, or of every one that has none of its own. Null: no limit from this row."""

    __tablename__ = "quota"

    holder: Mapped[str] = mapped_column(String(40), primary_key=True)
    """An organization's id, or ``"default"``."""
    apps: Mapped[int | None]
    replicas: Mapped[int | None]
    cpu_millis: Mapped[int | None] = mapped_column(BigInteger)
    memory_mb: Mapped[int | None] = mapped_column(BigInteger)
    concurrent_builds: Mapped[int | None]
