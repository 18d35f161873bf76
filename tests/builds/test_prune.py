"""What is kept for a rollback, and what goes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.builder.layers import LayerStore, layer_key
from app.builds.reconcile import source_folder
from app.crypto import SecretBox
from app.db import Database
from app.models import Build, BuildKind, BuildStatus, DeploymentStatus
from app.settings import Settings
from tests.builds.waiting import make_deployment
from tests.builds.yard import Yard
from tests.factories import Placed, make_build, make_instance, make_release


@pytest.fixture
def yard(database: Database, secret_box: SecretBox, tmp_path: Path) -> Yard:
    return Yard(database, secret_box, Settings(home=str(tmp_path / "home"), build_keep=2))


@pytest.fixture
async def placed(database: Database) -> Placed:
    return await make_instance(database)


async def _built(
    yard: Yard, placed: Placed, artifact: str, minute: int, kind: str = "slug"
) -> Build:
    build = await make_build(yard.database, placed.app, commit_sha=f"{minute:040d}")
    async with yard.database.write_transaction() as session:
        row = await session.get_one(Build, build.id)
        row.artifact = artifact
        row.kind = BuildKind(kind)
        row.finished_at = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
    if kind == "slug":
        yard.slugs._slugs[artifact] = b"slug"
    return build


async def test_last_releases_and_the_running_one_are_kept(
    yard: Yard, placed: Placed, secret_box: SecretBox
) -> None:
    builds = [await _built(yard, placed, str(n) * 64, n) for n in range(5)]
    for number, build in enumerate(builds):
        await make_release(yard.database, secret_box, placed.instance, build, current=number == 1)
    await yard.prune()
    kept = [(await yard.row(build.id)).artifact is not None for build in builds]
    assert kept == [False, True, False, True, True]
    assert await yard.slugs.list() == ["1" * 64, "3" * 64, "4" * 64]


async def test_unfinished_deployment_keeps_its_build(yard: Yard, placed: Placed) -> None:
    waiting, other, newest = [await _built(yard, placed, str(n) * 64, n) for n in range(3)]
    await make_deployment(
        yard.database, placed.instance, waiting, status=DeploymentStatus.RELEASING
    )
    await make_deployment(yard.database, placed.instance, other, status=DeploymentStatus.FAILED)
    await yard.prune()
    assert (await yard.row(waiting.id)).artifact is not None
    assert (await yard.row(other.id)).artifact is None
    assert (await yard.row(newest.id)).artifact is not None
    assert (await yard.row(other.id)).status is BuildStatus.SUCCEEDED


async def test_slug_of_two_builds_goes_with_the_second(yard: Yard, placed: Placed) -> None:
    for minute in (0, 1):
        await _built(yard, placed, "a" * 64, minute)
    await yard.prune()
    assert await yard.slugs.list() == ["a" * 64]
    await _built(yard, placed, "b" * 64, 2)
    await yard.prune()
    assert await yard.slugs.list() == ["b" * 64]


async def test_unneeded_image_is_removed(yard: Yard, placed: Placed) -> None:
    await _built(yard, placed, "registry.test/a@sha256:1", 0, "image")
    await _built(yard, placed, "registry.test/a@sha256:2", 1, "image")
    await yard.prune()
    assert yard.builder.removed_images == ["registry.test/a@sha256:1"]


async def test_slug_and_image_that_no_build_knows_go_at_the_second_look(
    yard: Yard, placed: Placed
) -> None:
    """At the first they may be about to be recorded."""
    yard.slugs._slugs["f" * 64] = b"slug"
    yard.builder.held_images = {"bld_gone": "sha256:gone"}
    await yard.prune()
    assert (await yard.slugs.list(), yard.builder.removed_images) == (["f" * 64], [])
    await yard.prune(times=2)
    assert (await yard.slugs.list(), yard.builder.removed_images) == ([], ["sha256:gone"])


async def test_leftovers_of_ended_builds_are_cleaned_and_of_running_ones_not(
    yard: Yard, placed: Placed
) -> None:
    running, _ = await yard.queue(placed)
    yard.builder.unfinished = {running.id, "bld_ended"}
    for build_id in (running.id, "bld_other"):
        source_folder(yard.settings, build_id).mkdir(parents=True)
    await yard.prune()
    assert sorted(yard.builder.cleaned) == ["bld_ended", "bld_other"]
    assert source_folder(yard.settings, running.id).exists()
    assert not source_folder(yard.settings, "bld_other").exists()


def test_packed_dependencies_unused_for_longest_go_first(tmp_path: Path) -> None:
    store = LayerStore(tmp_path)
    keys = [layer_key(number=number) for number in range(3)]
    for key in keys:
        store.add(key, lambda out: out.write(b"x" * 100))
    for age, key in enumerate(keys):
        os.utime(tmp_path / f"{key}.tar.gz", (1000 - age, 1000 - age))
    assert store.find(keys[2]) is not None
    assert store.prune(200) == 100
    assert [store.find(key) is not None for key in keys] == [True, False, True]
