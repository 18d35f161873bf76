"""The whole story, with `paas up` and a real git client, on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import chapters
from tests.e2e.story import Story
from tests.engines.cluster import require_nomad
from tests.engines.docker import DockerEngine, docker_engine
from tests.up.platform import temporary_home

__all__ = ["docker_engine"]

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(900)]

ENGINES = [
    pytest.param("embedded", id="embedded"),
    pytest.param("nomad", id="nomad", marks=pytest.mark.nomad),
]


@pytest.fixture(params=ENGINES)
def story(
    request: pytest.FixtureRequest, docker_engine: DockerEngine, tmp_path: Path
) -> Iterator[Story]:
    engine = str(request.param)
    if engine == "nomad":
        require_nomad()
    with temporary_home(engine) as home:
        running = home.up("--engine", engine)
        running.until("The platform is up")
        yield Story(home, tmp_path)
        assert running.interrupt() == 0
        assert home.processes() == []


def test_push_to_live_change_break_roll_back_promote_delete_restore_purge(story: Story) -> None:
    checkouts = chapters.three_apps_deploy_to_three_environments(story)
    chapters.one_commit_was_built_once(story)
    chapters.a_variable_changes_one_environment_only(story)
    chapters.a_new_version_drops_no_request(story, checkouts["py"])
    chapters.a_broken_version_fails_and_the_old_one_serves_on(story, checkouts["py"])
    chapters.a_rollback_restores_the_first_version_without_building(story)
    chapters.a_promotion_builds_nothing(story)
    chapters.a_deleted_environment_answers_no_more_and_its_branch_is_skipped(story, checkouts["py"])
    chapters.a_deleted_project_stops_and_a_restored_one_serves_again(story, checkouts["py"])
    chapters.a_purged_project_leaves_nothing(story)
