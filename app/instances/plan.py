"""What a change of variables or scale amounts to. Pure: rows in, differences or typed errors out."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import InvalidInput, LimitReached
from app.instances.secrets import is_build_digest
from app.names import valid_variable_name

MAX_VALUE_BYTES = 32 * 1024
MAX_TOTAL_BYTES = 60 * 1024
"""Names and values together. A Nomad Variable holds 64 KiB; the rest is for the platform's own."""
MAX_REPLICAS = 100
CPU_MILLIS = range(20, 128_000 + 1)
MEMORY_MB = range(16, 1_048_576 + 1)


@dataclass(frozen=True)
class EnvVarChange:
    """A variable's new value. ``is_build`` None keeps what it was (a new one: not for the build)."""

    value: str
    is_build: bool | None = None


class ChangeKind(enum.StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True)
class VariableChange:
    name: str
    kind: ChangeKind
    is_build: bool
    """The build has seen it, or will: rolling this out builds the commit again."""


@dataclass(frozen=True)
class SettingChange:
    """``replicas``, ``cpuMillis``, ``memoryMb`` or ``containerPort``."""

    name: str
    before: int | None
    """None when nothing was released yet."""
    after: int


@dataclass(frozen=True)
class PendingChanges:
    """Desired against the current release: what the next deployment takes along."""

    variables: tuple[VariableChange, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    released: bool = True
    """False while the instance has no release: then everything waits for the first deployment."""

    def __bool__(self) -> bool:
        return bool(self.variables or self.settings)

    @property
    def needs_build(self) -> bool:
        return any(change.is_build for change in self.variables)


@dataclass(frozen=True)
class Desired:
    """What an instance should run with; a release freezes the same."""

    digests: Mapping[str, str]
    replicas: int
    cpu_millis: int
    memory_mb: int
    container_port: int

    @property
    def settings(self) -> dict[str, int]:
        return {
            "replicas": self.replicas,
            "cpuMillis": self.cpu_millis,
            "memoryMb": self.memory_mb,
            "containerPort": self.container_port,
        }


def pending(desired: Desired, released: Desired | None) -> PendingChanges:
    """By name, each change once."""
    before = released.digests if released is not None else {}
    variables = tuple(
        _variable_change(name, before.get(name), desired.digests.get(name))
        for name in sorted({*before, *desired.digests})
        if before.get(name) != desired.digests.get(name)
    )
    settings = tuple(
        SettingChange(name, was, now)
        for (name, now), was in zip(
            desired.settings.items(),
            released.settings.values() if released is not None else (None,) * 4,
            strict=True,
        )
        if was != now
    )
    return PendingChanges(variables, settings, released is not None)


def _variable_change(name: str, before: str | None, after: str | None) -> VariableChange:
    kind = ChangeKind.CHANGED
    if before is None:
        kind = ChangeKind.ADDED
    elif after is None:
        kind = ChangeKind.REMOVED
    return VariableChange(name, kind, any(is_build_digest(side or "") for side in (before, after)))


def valid_changes(changes: Mapping[str, EnvVarChange]) -> None:
    """Raises InvalidInput or LimitReached naming the variable."""
    if not changes:
        raise InvalidInput("No variable was given.", field="vars")
    for name, change in changes.items():
        valid_variable_name(name)
        if "\0" in change.value:
            raise InvalidInput(f"The value of {name} contains a NUL character.", field=name)
        size = _size(name, change.value)
        if size > MAX_VALUE_BYTES:
            raise LimitReached(
                f"The value of {name} has {size:,} bytes; a value has at most {MAX_VALUE_BYTES:,}.",
                field=name,
                hint="Keep large data in a file of the app or in a store, and a reference to it here.",
            )


def _size(name: str, value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"The value of {name} is not valid text: it holds half of a surrogate pair.", field=name
        ) from error


def require_total(sizes: Mapping[str, int]) -> None:
    """``sizes``: bytes of each value by name, as they will be. Raises LimitReached."""
    total = sum(len(name) + size for name, size in sizes.items())
    if total > MAX_TOTAL_BYTES:
        raise LimitReached(
            f"The variables would have {total:,} bytes together; at most {MAX_TOTAL_BYTES:,} are "
            "possible, names included.",
            field="vars",
            hint="Remove variables that are not needed, or keep large values in a store.",
        )


def valid_scale(*, replicas: int | None, cpu_millis: int | None, memory_mb: int | None) -> None:
    """Raises InvalidInput that states the limits. Whether it fits the machines is the engine's to say."""
    if replicas is None and cpu_millis is None and memory_mb is None:
        raise InvalidInput(
            "Nothing to change was given.", hint="Give replicas, cpuMillis or memoryMb."
        )
    _within("replicas", replicas, range(MAX_REPLICAS + 1))
    _within("cpuMillis", cpu_millis, CPU_MILLIS)
    _within("memoryMb", memory_mb, MEMORY_MB)


def _within(field: str, value: int | None, limits: range) -> None:
    if value is not None and value not in limits:
        raise InvalidInput(
            f"{field} is between {limits.start} and {limits.stop - 1}, and this is {value}.",
            field=field,
        )
