"""The planner alone: worlds in, actions out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.models import BuildStatus, DeploymentPhase, DeploymentStatus, FailureCode
from app.ports.scheduler import (
    Allocation,
    AllocationState,
    JobRef,
    Observation,
    Rollout,
    RolloutStatus,
)
from app.rollouts import plan
from app.rollouts.failures import Failure
from app.rollouts.plan import next_action
from app.rollouts.state import BuildView, DeploymentView, Fate, ReleaseView, State

REF = JobRef("acme", "storefront-web-production")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD = ReleaseView("rel_old", 1, replicas=1)
NEW = ReleaseView("rel_new", 2, replicas=1)
LIMIT = 300.0


def deployment(**changes: object) -> DeploymentView:
    base = DeploymentView(
        id="dep_2",
        number=2,
        status=DeploymentStatus.RELEASING,
        build=BuildView("bld", BuildStatus.SUCCEEDED),
        release=NEW,
        since={phase: NOW - timedelta(seconds=5) for phase in DeploymentPhase},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def state(*unfinished: DeploymentView, **changes: object) -> State:
    base = State(ref=REF, fate=Fate.LIVE, now=NOW, current=OLD, unfinished=unfinished)
    return replace(base, **changes)  # type: ignore[arg-type]


def copy(release: ReleaseView, **changes: object) -> Allocation:
    base = Allocation("c1", "web[0]", release.id, AllocationState.RUNNING, healthy=False)
    return replace(base, **changes)  # type: ignore[arg-type]


def observed(
    release: ReleaseView,
    status: RolloutStatus = RolloutStatus.RUNNING,
    *copies: Allocation,
    **changes: object,
) -> Observation:
    base = Observation(
        REF,
        modify_index=7,
        release_id=release.id,
        rollout=Rollout(release.id, status, 1, 0),
        allocations=copies,
        cursor="c",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def failure_of(action: plan.Action) -> FailureCode:
    assert isinstance(action, plan.RecordFailure), action
    return action.failure.code


def act(state: State, seen: Observation | None) -> plan.Action:
    return next_action(state, seen, rollout_seconds=LIMIT)


def test_a_release_is_registered_on_top_of_what_is_seen() -> None:
    action = act(state(deployment()), observed(OLD, RolloutStatus.SUCCEEDED))
    assert action == plan.Submit(deployment(), expected_index=7)


def test_nothing_is_registered_unseen() -> None:
    assert act(state(deployment()), None) == plan.Observe()


def test_a_registration_whose_recording_was_lost_is_recorded_and_not_repeated() -> None:
    assert act(state(deployment()), observed(NEW)) == plan.RecordSubmitted(deployment(), 7)


def test_a_registration_that_the_engine_gave_up_before_it_was_recorded_is_not_repeated() -> None:
    seen = observed(OLD, RolloutStatus.SUCCEEDED, copy(NEW, state=AllocationState.EXITED))
    assert act(state(deployment()), seen) == plan.RecordSubmitted(deployment(), 7)


def test_a_job_that_vanished_during_its_rollout_is_registered_again() -> None:
    submitted = deployment(submitted=True)
    assert act(state(submitted), Observation(REF)) == plan.Submit(submitted, expected_index=0)


def test_a_rollout_that_goes_on_is_watched_no_longer_than_until_its_deadline() -> None:
    late = {p: NOW - timedelta(seconds=LIMIT - 3) for p in DeploymentPhase}
    action = act(state(deployment(submitted=True, since=late)), observed(NEW))
    assert isinstance(action, plan.Watch)
    assert action.seconds == 3


def test_the_engines_revert_is_a_failure_although_another_release_is_seen_healthy() -> None:
    seen = observed(
        OLD, RolloutStatus.SUCCEEDED, copy(OLD, healthy=True), copy(NEW, exit_code=3, restarts=2)
    )
    assert failure_of(act(state(deployment(submitted=True)), seen)) is FailureCode.CRASH_LOOP


def test_a_crash_loop_is_called_one_before_the_engine_does() -> None:
    twice = observed(NEW, RolloutStatus.RUNNING, copy(NEW, exit_code=1, restarts=2))
    once = observed(NEW, RolloutStatus.RUNNING, copy(NEW, exit_code=1, restarts=1))
    assert failure_of(act(state(deployment(submitted=True)), twice)) is FailureCode.CRASH_LOOP
    assert isinstance(act(state(deployment(submitted=True)), once), plan.Watch)


def test_a_copy_that_the_engine_stopped_has_not_crashed() -> None:
    stopped = copy(NEW, state=AllocationState.EXITED, exit_code=143, listening=False)
    seen = observed(OLD, RolloutStatus.SUCCEEDED, stopped)
    code = failure_of(act(state(deployment(submitted=True)), seen))
    assert code is FailureCode.PORT_NOT_LISTENING


def test_an_app_that_listens_and_is_never_healthy_is_not_told_of_its_port() -> None:
    seen = observed(NEW, RolloutStatus.FAILED, copy(NEW, listening=True))
    code = failure_of(act(state(deployment(submitted=True)), seen))
    assert code is FailureCode.HEALTH_CHECK_TIMEOUT


def test_no_room_is_waited_for_a_while() -> None:
    seen = observed(NEW, unplaceable=("memory: no node has 64000 MB free",))
    short = {p: NOW - timedelta(seconds=1) for p in DeploymentPhase}
    long = {p: NOW - timedelta(seconds=20) for p in DeploymentPhase}
    assert isinstance(act(state(deployment(submitted=True, since=short)), seen), plan.Watch)
    code = failure_of(act(state(deployment(submitted=True, since=long)), seen))
    assert code is FailureCode.NO_CAPACITY


def test_a_recorded_failure_puts_the_previous_back_before_it_ends() -> None:
    failed = deployment(submitted=True, failed=True)
    assert act(state(failed), observed(NEW)) == plan.Restore(7)
    assert act(state(failed), observed(OLD)) == plan.Finish(failed, DeploymentStatus.FAILED)


def test_a_failed_first_rollout_stops_the_job() -> None:
    failed = deployment(submitted=True, failed=True)
    assert act(state(failed, current=None), observed(NEW)) == plan.Stop(purge=True)


def test_what_cannot_be_undone_ends_all_the_same() -> None:
    long = {p: NOW - timedelta(seconds=LIMIT + plan.GIVE_UP_SECONDS + 1) for p in DeploymentPhase}
    failed = deployment(failed=True, since=long)
    assert act(state(failed), observed(NEW)) == plan.Finish(failed, DeploymentStatus.FAILED)


def test_a_newer_one_undoes_a_rollout_before_it_begins() -> None:
    older = deployment(submitted=True)
    newer = deployment(id="dep_3", number=3, status=DeploymentStatus.QUEUED, release=None)
    assert act(state(newer, older), observed(NEW)) == plan.Restore(7)
    done = act(state(newer, older), observed(OLD))
    assert isinstance(done, plan.Finish)
    assert (done.deployment, done.status) == (older, DeploymentStatus.CANCELED)
    assert done.superseded_by_id == newer.id


def test_a_canceled_newest_does_not_supersede() -> None:
    older = deployment(status=DeploymentStatus.QUEUED, release=None)
    newer = replace(older, id="dep_3", number=3, cancel_requested=True)
    action = act(state(newer, older), None)
    assert isinstance(action, plan.Finish)
    assert (action.deployment, action.status) == (newer, DeploymentStatus.CANCELED)


def test_a_build_under_way_is_waited_for_without_asking_the_engine() -> None:
    waiting = deployment(
        status=DeploymentStatus.BUILDING,
        release=None,
        build=BuildView("bld", BuildStatus.RUNNING),
    )
    assert act(state(waiting), None) == plan.Rest()


def test_what_runs_is_put_right_when_nothing_is_under_way() -> None:
    assert act(state(), observed(OLD)) == plan.Rest()
    assert act(state(), Observation(REF)) == plan.Restore(0)
    assert act(state(), observed(NEW)) == plan.Restore(7)
    assert act(state(current=None), observed(NEW)) == plan.Stop(purge=True)
    assert act(state(fate=Fate.STOPPED), observed(OLD)) == plan.Stop(purge=False)
    assert act(state(fate=Fate.REMOVED), observed(OLD)) == plan.Stop(purge=True)
    assert act(state(fate=Fate.REMOVED), Observation(REF)) == plan.Remove()


# Whatever the world, some things never happen.

_builds = st.one_of(
    st.none(), st.builds(BuildView, st.just("bld"), st.sampled_from(BuildStatus), st.booleans())
)
_copies = st.lists(
    st.builds(
        Allocation,
        st.just("c"),
        st.just("web"),
        st.sampled_from(["rel_old", "rel_new", "rel_other"]),
        st.sampled_from(AllocationState),
        st.booleans(),
        restarts=st.integers(0, 3),
        exit_code=st.sampled_from([None, 0, 1, 137, 143]),
        oom_killed=st.booleans(),
        listening=st.sampled_from([None, True, False]),
    ),
    max_size=3,
)
_rollouts = st.one_of(
    st.none(),
    st.builds(
        Rollout,
        st.sampled_from(["rel_old", "rel_new", "rel_other"]),
        st.sampled_from(RolloutStatus),
        st.just(1),
        st.integers(0, 1),
    ),
)
_observations = st.one_of(
    st.none(),
    st.builds(
        Observation,
        st.just(REF),
        modify_index=st.integers(0, 2),
        stopped=st.booleans(),
        release_id=st.sampled_from(["", "rel_old", "rel_new", "rel_other"]),
        rollout=_rollouts,
        allocations=_copies,
        unplaceable=st.sampled_from([(), ("memory: none",)]),
    ),
)
_ages = st.integers(0, 1000)


@st.composite
def _deployments(draw: st.DrawFn, number: int) -> DeploymentView:
    status = draw(
        st.sampled_from(
            [DeploymentStatus.QUEUED, DeploymentStatus.BUILDING, DeploymentStatus.RELEASING]
        )
    )
    releasing = status is DeploymentStatus.RELEASING
    began = NOW - timedelta(seconds=draw(_ages))
    return DeploymentView(
        id=f"dep_{number}",
        number=number,
        status=status,
        build=BuildView("bld", BuildStatus.SUCCEEDED) if releasing else draw(_builds),
        release=ReleaseView("rel_new", number, draw(st.integers(0, 1))) if releasing else None,
        cancel_requested=draw(st.booleans()),
        submitted=releasing and draw(st.booleans()),
        failed=releasing and draw(st.booleans()),
        since=dict.fromkeys(DeploymentPhase, began) if releasing else {},
    )


@st.composite
def _states(draw: st.DrawFn) -> State:
    return State(
        ref=REF,
        fate=draw(st.sampled_from(Fate)),
        now=NOW,
        current=draw(st.sampled_from([None, OLD])),
        unfinished=tuple(draw(_deployments(n)) for n in range(draw(st.integers(0, 3)), 0, -1)),
    )


@given(_states(), _observations)
def test_the_planner_is_safe_in_every_world(world: State, seen: Observation | None) -> None:
    action = act(world, seen)
    effects = (plan.Submit, plan.Restore, plan.Stop, plan.Succeed, plan.AwaitRoute, plan.Remove)
    if isinstance(action, effects):
        assert seen is not None, "an effect on the engine without having looked"
    if isinstance(
        action, plan.Submit | plan.Succeed | plan.AwaitRoute | plan.StartBuild | plan.Freeze
    ):
        assert world.fate is Fate.LIVE
        assert action.deployment == world.unfinished[0], "only the newest goes on"
        assert not action.deployment.cancel_requested
        assert not action.deployment.failed
    if isinstance(action, plan.Stop):
        assert world.fate is not Fate.LIVE or world.current is None, "what should run is stopped"
    if isinstance(action, plan.Restore):
        assert world.fate is Fate.LIVE
        assert world.current is not None
    if isinstance(action, plan.Remove):
        assert world.unfinished == ()
    if isinstance(action, plan.Rest) and world.unfinished:
        newest = world.unfinished[0]
        assert newest.status is DeploymentStatus.BUILDING, "nothing would ever wake it"
    if isinstance(action, plan.Succeed | plan.AwaitRoute):
        assert seen is not None
        assert seen.release_id == "rel_new"
        assert seen.rollout is not None
        assert seen.rollout.status is RolloutStatus.SUCCEEDED


@given(_states(), _observations)
def test_what_is_said_of_a_failure_has_a_hint(world: State, seen: Observation | None) -> None:
    action = act(world, seen)
    if isinstance(action, plan.RecordFailure):
        failure: Failure = action.failure
        assert failure.message.endswith(".") or "The engine says" in failure.message
        assert failure.hint
