"""What a pushing client sees, line by line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from app.models import DeploymentPhase, DeploymentStatus, StepStatus
from app.pushes.screen import DeploymentView, Screen, StepView

PRODUCTION = DeploymentView(
    id="dep_1",
    number=12,
    environment="production",
    url="http://prod.test",
    commit="1a2b3c4d5e6f7",
    status=DeploymentStatus.QUEUED,
    desired=2,
)
STAGING = replace(PRODUCTION, id="dep_2", number=3, environment="staging", url="http://stage.test")


def _step(phase: DeploymentPhase, message: str | None = None) -> StepView:
    return StepView(phase, StepStatus.RUNNING, message)


def test_one_deployment_from_the_push_to_the_url() -> None:
    screen = Screen()
    lines = screen.opening([PRODUCTION]) + screen.standing([PRODUCTION])
    building = replace(PRODUCTION, status=DeploymentStatus.BUILDING, build_id="bld_1")
    lines += screen.standing([building])
    lines += screen.log([building], "bld_1", ["Collecting flask", "Done"])
    schedule = _step(DeploymentPhase.SCHEDULE)
    releasing = replace(building, status=DeploymentStatus.RELEASING, steps=[schedule], healthy=1)
    lines += screen.standing([releasing]) + screen.standing([releasing])
    done = replace(releasing, status=DeploymentStatus.SUCCEEDED, healthy=2)
    lines += screen.standing([done])
    assert lines == [
        "-----> Deploying 1a2b3c4d5e6f to production (#12)",
        "-----> Building",
        "       Collecting flask",
        "       Done",
        "-----> Starting",
        "       1 of 2 copies are healthy",
        "       2 of 2 copies are healthy",
        "-----> Live at http://prod.test",
    ]


def test_shared_build_is_shown_once_and_everything_else_under_its_environment() -> None:
    screen = Screen()
    both = [replace(PRODUCTION, build_id="bld_1"), replace(STAGING, build_id="bld_1")]
    lines = screen.opening(both) + screen.log(both, "bld_1", ["line"])
    ended = [
        replace(both[0], status=DeploymentStatus.SUCCEEDED),
        replace(
            both[1],
            status=DeploymentStatus.FAILED,
            failure_message="It crashed.",
            failure_hint="Look here.\nAnd there.",
            failure_log=["boom"],
        ),
    ]
    lines += screen.standing(ended) + screen.standing(ended)
    assert lines[2:] == [
        "-----> Building",
        "       line",
        "-----> [production] Live at http://prod.test",
        " !     [staging] Deployment #3 to staging failed: It crashed.",
        " !     [staging] Look here.",
        " !     [staging] And there.",
        "       [staging] boom",
    ]


MADE = datetime(2026, 11, 24, 11, 40, 12, tzinfo=UTC)


def test_build_that_was_made_before_the_push_is_named_once_and_its_log_is_not_shown() -> None:
    screen = Screen()
    reusing = [replace(PRODUCTION, build_id="bld_1", built_before=MADE)]
    assert not screen.shows_log(reusing, "bld_1")
    assert screen.standing(reusing) + screen.standing(reusing) == [
        "       Using the build of 1a2b3c4d5e6f made at 2026-11-24 11:40:12 UTC"
    ]


def test_build_that_one_of_two_environments_waited_for_is_shown_and_not_named() -> None:
    screen = Screen()
    both = [
        replace(PRODUCTION, build_id="bld_1"),
        replace(STAGING, build_id="bld_1", built_before=MADE),
    ]
    assert screen.shows_log(both, "bld_1")
    assert screen.log(both, "bld_1", ["line"]) == ["-----> Building", "       line"]
    assert screen.standing(both) == []


def test_builds_that_differ_are_told_apart() -> None:
    screen = Screen()
    both = [replace(PRODUCTION, build_id="bld_1"), replace(STAGING, build_id="bld_2")]
    assert screen.log(both, "bld_2", ["line"]) == [
        "-----> [staging] Building",
        "       [staging] line",
    ]


def test_environment_that_is_deployed_to_twice_is_told_apart_by_number() -> None:
    twice = [PRODUCTION, replace(PRODUCTION, id="dep_9", number=13)]
    ended = [
        replace(twice[0], status=DeploymentStatus.SUPERSEDED, superseded_by=13),
        replace(twice[1], status=DeploymentStatus.CANCELED),
    ]
    assert Screen().standing(ended) == [
        " !     [production #12] Deployment #12 gave way to #13.",
        " !     [production #13] Deployment #13 was cancelled.",
    ]
