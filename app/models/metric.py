"""What instances used and served, a row a period."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class MetricSample(Base):
    """One instance over one period, that ends at ``at``. Counts are of the period, not since ever."""

    __tablename__ = "metric_sample"
    __table_args__ = (Index(None, "at", postgresql_using="brin"),)

    instance_id: Mapped[str] = mapped_column(
        ForeignKey("instance.id", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    copies: Mapped[int]
    cpu_millis: Mapped[int]
    """Of all copies together, as ``memory_bytes``."""
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    requests: Mapped[int]
    errors: Mapped[int]
    """Answers of 500 and above, and requests that no copy answered."""
    latencies: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    """Requests by how long they took: see ``app.metrics.plan.BOUNDS``, and one more for the slower ones."""
