"""A workshop: the real builder on a home of its own, which leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.builder.users import SHARED
from app.crypto import SecretBox
from tests.builds.workshop import Workshop
from tests.engines.docker import docker_engine, image_registry

__all__ = ["docker_engine", "image_registry"]


@pytest.fixture
def workshop(tmp_path: Path, secret_box: SecretBox) -> Iterator[Workshop]:
    yield Workshop(tmp_path / "home", secret_box)
    _remove_area(tmp_path / "home")


@pytest.fixture(scope="session")
def warm_workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """One home for all tests that install from a registry."""
    home = tmp_path_factory.mktemp("warm")
    yield Workshop(home, SecretBox([b"k" * 32]))
    _remove_area(home)


def _remove_area(home: Path) -> None:
    area = (home / "builder").resolve()
    if area.parent == SHARED:
        shutil.rmtree(area)
