"""What to do next for one instance. Pure: rows and an observation in, one action out.

The executor takes the action, reads everything again, and asks for the next. So each action is small,
may be taken twice, and may be the last thing that a worker does before it dies.

An instance has at most one rollout. The newest unfinished deployment is the one that counts: older ones
that have not begun are superseded, one that is being rolled out is undone first.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.models import BuildStatus, DeploymentPhase, DeploymentStatus
from app.ports.scheduler import Observation, RolloutStatus
from app.rollouts import failures
from app.rollouts.failures import Failure
from app.rollouts.state import DeploymentView, Fate, ReleaseView, State

WATCH_SECONDS = 20.0
"""A watch ends by itself, so that a lost wake-up costs no more than this."""
GIVE_UP_SECONDS = 120.0
"""Beyond the rollout's own time: then a deployment ends even if nothing can be put back."""


@dataclass(frozen=True)
class Rest:
    """Nothing to do until the next wake."""


@dataclass(frozen=True)
class Observe:
    """Ask the engine, then plan again."""


@dataclass(frozen=True)
class StartBuild:
    deployment: DeploymentView


@dataclass(frozen=True)
class TakeBuildFailure:
    """End it with what the build says of its failure."""

    deployment: DeploymentView


@dataclass(frozen=True)
class Freeze:
    """Make its release of its build and what is desired now."""

    deployment: DeploymentView


@dataclass(frozen=True)
class Submit:
    deployment: DeploymentView
    expected_index: int


@dataclass(frozen=True)
class RecordSubmitted:
    deployment: DeploymentView
    index: int


@dataclass(frozen=True)
class Watch:
    deployment: DeploymentView
    cursor: str
    healthy: int
    seconds: float


@dataclass(frozen=True)
class AwaitRoute:
    """Healthy; wait until the router sends requests to it."""

    deployment: DeploymentView
    seconds: float
    alone_seconds: float
    """For which it is waited also until the router sends none to another release."""
    otherwise: Failure | None = None
    """What it fails with when the time is over and the router, asked once more, does not. The time may have
    passed while nobody could ask."""


@dataclass(frozen=True)
class Succeed:
    deployment: DeploymentView


@dataclass(frozen=True)
class RecordFailure:
    """Keep why, before anything is put back: that hides the reason."""

    deployment: DeploymentView
    failure: Failure
    copy_id: str | None = None
    """Whose log to keep the end of."""


@dataclass(frozen=True)
class Restore:
    """Register the current release again."""

    expected_index: int


@dataclass(frozen=True)
class Stop:
    purge: bool


@dataclass(frozen=True)
class Finish:
    """End it with this status; a failure's reason is recorded already."""

    deployment: DeploymentView
    status: DeploymentStatus
    message: str | None = None
    superseded_by_id: str | None = None


@dataclass(frozen=True)
class Remove:
    """Nothing of it runs: delete its routes, secrets and row."""


Action = (
    Rest | Observe | StartBuild | TakeBuildFailure | Freeze | Submit | RecordSubmitted | Watch
    | AwaitRoute | Succeed | RecordFailure | Restore | Stop | Finish | Remove
)  # fmt: skip


def next_action(state: State, seen: Observation | None, *, rollout_seconds: float) -> Action:
    """``seen`` is None when nothing was observed since the last effect on the engine."""
    if action := _end_what_has_not_begun(state):
        return action
    begun = [d for d in state.unfinished if d.status is DeploymentStatus.RELEASING]
    newest = state.unfinished[0] if state.unfinished else None
    for deployment in reversed(begun):
        if reason := _reason_to_undo(state, deployment, newest):
            return _undo(state, deployment, reason, seen, rollout_seconds)
    if newest is None:
        return _settle_for_good(state, seen)
    if newest.status is DeploymentStatus.RELEASING:
        return _roll_out(state, newest, seen, rollout_seconds)
    return _prepare(newest)


def _end_what_has_not_begun(state: State) -> Finish | None:
    """Queued and building ones that are cancelled, outdated, or have no place to go."""
    newest: DeploymentView | None = None
    for deployment in state.unfinished:
        waiting = deployment.status is not DeploymentStatus.RELEASING
        if waiting and state.fate is not Fate.LIVE:
            return Finish(deployment, DeploymentStatus.CANCELED, _fate_in_words(state.fate))
        if waiting and deployment.cancel_requested:
            return Finish(deployment, DeploymentStatus.CANCELED, "Cancelled before it began.")
        if waiting and newest is not None:
            return Finish(
                deployment,
                DeploymentStatus.SUPERSEDED,
                f"Deployment #{newest.number} is newer.",
                newest.id,
            )
        newest = newest or deployment
    return None


def _fate_in_words(fate: Fate) -> str:
    if fate is Fate.STOPPED:
        return "The project was deleted."
    return "The app, its environment or its project was deleted."


def _reason_to_undo(
    state: State, deployment: DeploymentView, newest: DeploymentView | None
) -> Finish | None:
    """How one that is being rolled out is to end, if it may not go on."""
    if deployment.failed:
        return Finish(deployment, DeploymentStatus.FAILED)
    if state.fate is not Fate.LIVE:
        return Finish(deployment, DeploymentStatus.CANCELED, _fate_in_words(state.fate))
    if deployment.cancel_requested:
        return Finish(deployment, DeploymentStatus.CANCELED, "Cancelled; what ran before serves.")
    if newest is not None and newest.id != deployment.id:
        message = f"Cancelled for the newer deployment #{newest.number}."
        return Finish(deployment, DeploymentStatus.CANCELED, message, newest.id)
    return None


def _undo(
    state: State,
    deployment: DeploymentView,
    finish: Finish,
    seen: Observation | None,
    rollout_seconds: float,
) -> Action:
    """What ran before goes back first; only then is it said that this one has ended."""
    if waited(state, deployment, DeploymentPhase.RELEASE) > rollout_seconds + GIVE_UP_SECONDS:
        return finish
    if seen is None:
        return Observe()
    return settle(state, seen) or finish


def settle(state: State, seen: Observation) -> Restore | Stop | None:
    """What the engine must be told so that it runs what should run; None when it does."""
    exists = seen.modify_index != 0
    if state.fate is Fate.REMOVED:
        return Stop(purge=True) if exists else None
    if state.fate is Fate.STOPPED:
        return Stop(purge=False) if exists and not seen.stopped else None
    if state.current is None:
        return Stop(purge=True) if exists else None
    if seen.release_id == state.current.id and not seen.stopped:
        return None
    return Restore(seen.modify_index)


def _settle_for_good(state: State, seen: Observation | None) -> Action:
    if seen is None:
        return Observe()
    if action := settle(state, seen):
        return action
    return Remove() if state.fate is Fate.REMOVED else Rest()


def _prepare(deployment: DeploymentView) -> Action:
    """From a commit to a release."""
    build = deployment.build
    if build is None or build.status is BuildStatus.CANCELED or build.is_pruned:
        return StartBuild(deployment)
    if build.status is BuildStatus.SUCCEEDED:
        return Freeze(deployment)
    if build.status is BuildStatus.FAILED:
        return _after_failed_build(deployment)
    if deployment.status is DeploymentStatus.QUEUED:
        return StartBuild(deployment)
    return Rest()


def _after_failed_build(deployment: DeploymentView) -> Action:
    """One that never waited for this build asks for a new attempt."""
    if deployment.status is DeploymentStatus.QUEUED:
        return StartBuild(deployment)
    return TakeBuildFailure(deployment)


def _roll_out(
    state: State, deployment: DeploymentView, seen: Observation | None, rollout_seconds: float
) -> Action:
    release = deployment.release
    if release is None:
        return Freeze(deployment)
    if seen is None:
        return Observe()
    if not deployment.submitted:
        if _was_registered(release, seen):
            return RecordSubmitted(deployment, seen.modify_index)
        return Submit(deployment, seen.modify_index)
    time_waited = waited(state, deployment, DeploymentPhase.HEALTH_CHECK)
    if (seen.modify_index == 0 or seen.stopped) and time_waited < rollout_seconds:
        return Submit(deployment, seen.modify_index)
    if _succeeded(release, seen):
        return _route(state, deployment, release)
    failure = failures.of_rollout(release, seen, waited=time_waited, timeout=rollout_seconds)
    if failure is not None:
        return RecordFailure(deployment, failure, failures.failing_copy(release, seen))
    return Watch(
        deployment,
        seen.cursor,
        healthy=_healthy(release, seen),
        seconds=_until_something_is_due(seen, time_waited, rollout_seconds),
    )


def _was_registered(release: ReleaseView, seen: Observation) -> bool:
    """We died between registering it and recording that; the engine may even have given it up since."""
    if seen.modify_index == 0 or seen.stopped:
        return False
    return (
        seen.release_id == release.id
        or (seen.rollout is not None and seen.rollout.release_id == release.id)
        or any(copy.release_id == release.id for copy in seen.allocations)
    )


def _succeeded(release: ReleaseView, seen: Observation) -> bool:
    rollout = seen.rollout
    return (
        seen.release_id == release.id
        and rollout is not None
        and rollout.release_id == release.id
        and rollout.status is RolloutStatus.SUCCEEDED
    )


def _route(state: State, deployment: DeploymentView, release: ReleaseView) -> Action:
    if release.replicas == 0:
        return Succeed(deployment)
    time_waited = waited(state, deployment, DeploymentPhase.ROUTE)
    if time_waited >= failures.ROUTE_SECONDS:
        return AwaitRoute(deployment, 0.0, 0.0, failures.not_routed(time_waited))
    return AwaitRoute(
        deployment,
        failures.ROUTE_SECONDS - time_waited,
        max(0.0, failures.ALONE_SECONDS - time_waited),
    )


def _healthy(release: ReleaseView, seen: Observation) -> int:
    return sum(1 for copy in seen.allocations if copy.release_id == release.id and copy.healthy)


def _until_something_is_due(seen: Observation, time_waited: float, rollout_seconds: float) -> float:
    left = rollout_seconds - time_waited
    if seen.unplaceable:
        left = min(left, failures.NO_ROOM_SECONDS - time_waited)
    return max(0.05, min(WATCH_SECONDS, left))


def waited(state: State, deployment: DeploymentView, phase: DeploymentPhase) -> float:
    """Seconds since the phase began; 0 when it has not."""
    began = deployment.since.get(phase)
    return (state.now - began).total_seconds() if began is not None else 0.0
