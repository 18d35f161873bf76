"""A builder for tests: it does at once what it is told, and remembers what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from app.models.build import BuildKind
from app.ports.builder import BuildFailed, BuildInput, BuildOutput, SlugStore, WriteLine


class MemoryBuilder:
    """Every build succeeds as a slug of its commit, unless ``outcomes`` says otherwise."""

    def __init__(self, slugs: SlugStore) -> None:
        self._slugs = slugs
        self.built: list[BuildInput] = []
        self.outcomes: dict[str, BuildOutput | BuildFailed] = {}
        """By commit."""
        self.lines: list[str] = ["Building"]
        """Written to each build's log."""
        self.gate = asyncio.Event()
        """Cleared, builds wait here."""
        self.gate.set()
        self.canceled: list[str] = []
        self.cleaned: list[str] = []
        self.unfinished: set[str] = set()
        """What ``leftovers`` answers."""
        self.held_images: dict[str, str] = {}
        """What ``images`` answers."""
        self.removed_images: list[str] = []

    async def build(self, build: BuildInput, write: WriteLine) -> BuildOutput:
        self.built.append(build)
        try:
            for line in self.lines:
                await write(line)
            await self.gate.wait()
        except asyncio.CancelledError:
            self.canceled.append(build.build_id)
            raise
        outcome = self.outcomes.get(build.commit_sha)
        if isinstance(outcome, BuildFailed):
            raise outcome
        return outcome or BuildOutput(
            kind=BuildKind.SLUG,
            artifact=await self._store(build),
            size=len(build.commit_sha),
            processes={"web": "python3 main.py"},
            runtime={"language": "python", "version": "3.11"},
        )

    async def _store(self, build: BuildInput) -> str:
        archive = build.source / "slug"
        await asyncio.to_thread(archive.write_text, build.commit_sha)
        return await self._slugs.put(archive)

    async def clean(self, build_id: str) -> None:
        self.cleaned.append(build_id)
        self.unfinished.discard(build_id)

    async def leftovers(self) -> list[str]:
        return sorted(self.unfinished)

    async def images(self, platform: str) -> Mapping[str, str]:
        return dict(self.held_images)

    async def remove_image(self, reference: str) -> None:
        self.removed_images.append(reference)
        self.held_images = {k: v for k, v in self.held_images.items() if v != reference}

    async def prune_cache(self, *, max_bytes: int) -> int:
        return 0

    async def close(self) -> None:
        """Holds nothing open."""
