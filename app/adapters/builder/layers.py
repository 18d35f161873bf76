"""Packed dependencies (*layers*) by the digest of all that went into them.

A layer is written under another name and then renamed, so that it is whole or absent; build users can
neither read nor write here. Whoever names a layer must put everything that shaped it into the name.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BUILDER_VERSION = 1
"""Raise it when the same inputs would be packed differently."""
_ABANDONED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Layer:
    path: str
    unpacked: int


def layer_key(**inputs: object) -> str:
    """The digest of ``inputs``, which must be JSON values."""
    described = json.dumps({"builder": BUILDER_VERSION, **inputs}, sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


@dataclass(frozen=True)
class LayerStore:
    folder: Path

    def find(self, key: str) -> Layer | None:
        path = self.folder / f"{key}.tar.gz"
        try:
            os.utime(path)
            unpacked = int((self.folder / f"{key}.size").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return Layer(str(path), unpacked)

    def add(self, key: str, pack: Callable[[BinaryIO], int]) -> Layer:
        """``pack`` writes the archive and returns its unpacked size."""
        path = self.folder / f"{key}.tar.gz"
        partial = self.folder / f"{key}.{secrets.token_hex(4)}.partial"
        try:
            with partial.open("xb") as out:
                unpacked = pack(out)
            (self.folder / f"{key}.size").write_text(str(unpacked))
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        return Layer(str(path), unpacked)

    def prune(self, max_bytes: int) -> int:
        """Remove the ones not used for longest until the rest fits; returns the bytes freed."""
        kept, freed = 0, 0
        for partial in self.folder.glob("*.partial"):
            if partial.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                partial.unlink(missing_ok=True)
        archives = [(path.stat(), path) for path in self.folder.glob("*.tar.gz")]
        for status, path in sorted(archives, key=lambda item: -item[0].st_mtime):
            kept += status.st_size
            if kept > max_bytes:
                path.unlink(missing_ok=True)
                path.with_name(path.name.replace(".tar.gz", ".size")).unlink(missing_ok=True)
                freed += status.st_size
        return freed
