from __future__ import annotations

from tests.git.conftest import server, world

__all__ = ["server", "world"]
