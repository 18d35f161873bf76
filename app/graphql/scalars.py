"""Scalars that GraphQL itself does not have."""

from __future__ import annotations

from typing import NewType

import strawberry
from strawberry.schema.config import StrawberryConfig

Long = NewType("Long", int)
"""GraphQL's Int ends at 2**31 - 1."""

CONFIG = StrawberryConfig(
    scalar_map={
        Long: strawberry.scalar(
            name="Long", description="A whole number up to 2^53, as a JSON number.", serialize=int
        )
    }
)
