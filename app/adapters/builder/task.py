"""What one build of a slug is given to work with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.adapters.builder.area import Area
from app.adapters.builder.layers import Layer, LayerStore
from app.adapters.builder.run import Limits
from app.ports.builder import BuildInput, WriteLine


@dataclass(frozen=True)
class Task:
    build: BuildInput
    area: Area
    layers: LayerStore
    limits: Limits
    max_bytes: int
    """Of the unpacked slug."""
    write: WriteLine

    @property
    def source(self) -> Path:
        return self.build.source


@dataclass(frozen=True)
class Prepared:
    """What a language contributes to a slug."""

    layers: Sequence[Layer] = ()
    tree: Path | None = None
    """Packed in place of the source, when the build has made files outside of its dependencies."""
    owner: int | None = None
    """The only user whose files ``tree`` may hold."""
    replaces: frozenset[str] = frozenset()
    """Names at the top of the source that the layers bring."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Small files to add, by their path in the slug; those that start with ``#!`` may be run."""
    setup: str = ""
    """Lines of shell for ``.paas/start``; ``$root`` is the app's folder."""
    processes: Mapping[str, str] = field(default_factory=dict)
    runtime: Mapping[str, str] = field(default_factory=dict)
