"""Scalars that GraphQL itself does not have."""

from __future__ import annotations

from datetime import datetime
from typing import NewType

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.types.base_scalars import DateTimeDefinition
from strawberry.types.scalar import ScalarDefinition

Long = NewType("Long", int)
"""GraphQL's Int ends at 2**31 - 1."""


def _moment(value: datetime) -> str:
    """With microseconds always, as ``app/graphql/compile/text.py`` writes it: so it can be sorted as text."""
    return value.isoformat(timespec="microseconds")


CONFIG = StrawberryConfig(
    scalar_map={
        datetime: ScalarDefinition(
            name="DateTime",
            description=DateTimeDefinition.description,
            specified_by_url=None,
            serialize=_moment,
            parse_value=DateTimeDefinition.parse_value,
            parse_literal=None,
            origin=datetime,
        ),
        Long: strawberry.scalar(
            name="Long", description="A whole number up to 2^53, as a JSON number.", serialize=int
        ),
    }
)
