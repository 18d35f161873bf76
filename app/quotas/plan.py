"""What an organization holds against what it may hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from app.errors import InvalidInput, LimitReached

DEFAULT = "default"
"""The holder of the limits of organizations that have none of their own."""
MAX_LIMIT = 2**31 - 1

_WORDS = {
    "apps": "apps",
    "replicas": "copies of its apps",
    "cpu_millis": "thousandths of a CPU",
    "memory_mb": "MB of memory",
}
"""As in "may have 20 …"."""


@dataclass(frozen=True)
class Usage:
    """What the live projects of an organization ask for, whether it is deployed yet or not."""

    apps: int
    replicas: int
    cpu_millis: int
    memory_mb: int


@dataclass(frozen=True)
class Limits:
    """None: as much as there is."""

    apps: int | None = None
    replicas: int | None = None
    cpu_millis: int | None = None
    memory_mb: int | None = None
    concurrent_builds: int | None = None

    def or_else(self, default: Limits) -> Limits:
        """Each limit, or where there is none, the default's."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return Limits(
            **{
                name: getattr(default, name) if value is None else value
                for name, value in own.items()
            }
        )

    @property
    def on_usage(self) -> bool:
        """Whether any of them is measured by ``Usage``."""
        return any(getattr(self, name) is not None for name in _WORDS)


def check_growth(limits: Limits, before: Usage, after: Usage) -> None:
    """Raises LimitReached when something has grown beyond its limit. Shrinking is always allowed."""
    for name, words in _WORDS.items():
        limit, had, has = getattr(limits, name), getattr(before, name), getattr(after, name)
        if limit is not None and has > limit and has > had:
            raise LimitReached(
                f"The organization may have {limit} {words}; this would make {has}.",
                field=name,
                hint=f"It has {had} now. Free some, or ask an operator of the platform for more.",
            )


def valid_limits(given: Mapping[str, int | None]) -> Limits:
    """Raises InvalidInput for a negative or absurd one."""
    for name, value in given.items():
        if value is not None and not 0 <= value <= MAX_LIMIT:
            raise InvalidInput(f"{name} is a number from 0 to {MAX_LIMIT}.", field=name)
    return Limits(**given)
