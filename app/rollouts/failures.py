"""Why a rollout failed, in a plain sentence with what to do next. Pure: an observation in, words out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.models import DeploymentPhase, FailureCode
from app.ports.scheduler import Allocation, AllocationState, Observation, RolloutStatus
from app.rollouts.state import ReleaseView

TAIL_LINES = 50
NO_ROOM_SECONDS = 15.0
"""How long a release may wait for room: other apps' old copies may be about to end."""
ROUTE_SECONDS = 30.0
"""How long the router may take to know of healthy copies."""
ALONE_SECONDS = 10.0
"""Of these, how long it may take to forget the copies before them. One that will not go is no reason to hold
up, or to fail, a deployment whose own copies answer."""
_CRASHES = 2
"""Restarts after which a copy that is down again is not going to recover."""
_STOPPED_BY_US = frozenset({None, 0, 130, 137, 143})
"""Exit codes of a copy that the engine stopped: by SIGINT, SIGKILL or SIGTERM."""


@dataclass(frozen=True)
class Failure:
    code: FailureCode
    message: str
    hint: str
    phase: DeploymentPhase = DeploymentPhase.HEALTH_CHECK


def of_rollout(
    release: ReleaseView, seen: Observation, *, waited: float, timeout: float
) -> Failure | None:
    """Why ``release`` will not become healthy; None while it still may.

    ``waited``: seconds since it was registered; ``timeout``: how many it has.
    """
    copies = [copy for copy in seen.allocations if copy.release_id == release.id]
    failing = [copy for copy in copies if not copy.healthy]
    given_up = _given_up(release, seen)
    ended = given_up or waited >= timeout
    if failure := _died(release, failing, given_up):
        return failure
    if seen.unplaceable and (ended or waited >= NO_ROOM_SECONDS):
        return no_capacity(seen.unplaceable)
    if not ended:
        return None
    return _never_healthy(release, failing, seen, waited)


def _given_up(release: ReleaseView, seen: Observation) -> bool:
    """The engine ended the rollout, or has put another release in its place."""
    if seen.release_id != release.id:
        return True
    rollout = seen.rollout
    return (
        rollout is not None
        and rollout.release_id == release.id
        and rollout.status is RolloutStatus.FAILED
    )


def _died(release: ReleaseView, failing: Sequence[Allocation], given_up: bool) -> Failure | None:
    for copy in failing:
        if copy.oom_killed and (copy.restarts >= 1 or given_up or _ended(copy)):
            return _out_of_memory(release)
    for copy in failing:
        crashed = copy.exit_code not in _STOPPED_BY_US or copy.restarts >= 1
        if crashed and copy.exit_code is not None and (given_up or copy.restarts >= _CRASHES):
            return _crash_loop(copy)
    return None


def _ended(copy: Allocation) -> bool:
    return copy.state in {AllocationState.EXITED, AllocationState.LOST}


def _out_of_memory(release: ReleaseView) -> Failure:
    return Failure(
        FailureCode.OUT_OF_MEMORY,
        f"The app used more than its {release.memory_mb} MB of memory and was stopped.",
        "Give it more (scale memoryMb), or make it use less: fewer workers is the usual first step.",
    )


def _crash_loop(copy: Allocation) -> Failure:
    times = copy.restarts + 1
    often = f"{times} times in a row" if times > 1 else "at once"
    if copy.exit_code == 0:
        return Failure(
            FailureCode.CRASH_LOOP,
            f"The app ended by itself (exit code 0), {often}.",
            "Its command must keep running and serve requests; one that ends is taken for a crash.",
        )
    return Failure(
        FailureCode.CRASH_LOOP,
        f"The app exited with code {copy.exit_code}, {often}.",
        "Its last log lines say why; a missing variable or dependency is the usual reason.",
    )


def no_capacity(reasons: Sequence[str]) -> Failure:
    return Failure(
        FailureCode.NO_CAPACITY,
        f"There is no room for the new copies: {'; '.join(reasons)}.",
        "Ask for less (scale replicas, cpuMillis, memoryMb), stop other apps, or add a node. New copies "
        "start beside the old ones, so an update needs room for both.",
        DeploymentPhase.SCHEDULE,
    )


def _never_healthy(
    release: ReleaseView, failing: Sequence[Allocation], seen: Observation, waited: float
) -> Failure:
    started = [copy for copy in failing if copy.state is not AllocationState.PENDING]
    said = _last_words(failing, seen)
    if any(copy.listening is True for copy in started):
        return Failure(
            FailureCode.HEALTH_CHECK_TIMEOUT,
            f"The app accepts connections, but was not found healthy within {waited:.0f} s.{said}",
            "It may be too slow to start, or busy: see its last log lines.",
        )
    if started:
        return _not_listening(release, waited)
    return Failure(
        FailureCode.HEALTH_CHECK_TIMEOUT,
        f"The app's copies did not start within {waited:.0f} s.{said}",
        "The engine could not fetch or start it; the operator finds more in the engine's own log.",
    )


def _not_listening(release: ReleaseView, waited: float) -> Failure:
    port = f" (here {release.container_port})" if release.is_image else ""
    return Failure(
        FailureCode.PORT_NOT_LISTENING,
        f"The app runs, but nothing in it accepted connections on its port within {waited:.0f} s.",
        f"Listen on 0.0.0.0 (not 127.0.0.1), on the port in the environment variable PORT{port}.",
    )


def _last_words(failing: Sequence[Allocation], seen: Observation) -> str:
    rollout = seen.rollout.message if seen.rollout is not None else ""
    words = next((copy.message for copy in reversed(failing) if copy.message), rollout)
    return f" The engine says: {words}" if words else ""


def failing_copy(release: ReleaseView, seen: Observation) -> str | None:
    """The copy whose log explains the failure: one that died rather than one that hangs, the newest."""
    failing = [c for c in seen.allocations if c.release_id == release.id and not c.healthy]
    failing.sort(key=lambda copy: (copy.exit_code is not None, copy.restarts))
    return failing[-1].id if failing else None


def not_routed(waited: float) -> Failure:
    return Failure(
        FailureCode.ENGINE_UNAVAILABLE,
        f"The app is healthy, but the router has not taken it up within {waited:.0f} s.",
        "The operator should look at Traefik and its provider: paas doctor says what is wrong.",
        DeploymentPhase.ROUTE,
    )


def engine_unavailable(what: str) -> Failure:
    return Failure(
        FailureCode.ENGINE_UNAVAILABLE,
        f"The engine did not answer for so long that this was given up: {what}",
        "Deploy again once it is back; what ran before is put back then, if it had to give way.",
        DeploymentPhase.SCHEDULE,
    )


def rejected(what: str) -> Failure:
    return Failure(
        FailureCode.ENGINE_UNSUPPORTED,
        f"The engine refuses this app: {what}",
        "The operator should compare the engine's set-up with the documentation's.",
        DeploymentPhase.SCHEDULE,
    )


def images_unsupported() -> Failure:
    return Failure(
        FailureCode.ENGINE_UNSUPPORTED,
        "This app was built as an image from its Dockerfile, and the engine here has no Docker to run it.",
        "Install Docker on this machine, use Nomad, or add a Procfile (Python, Node) or an index.html "
        "and remove the Dockerfile: those run without Docker.",
        DeploymentPhase.RELEASE,
    )


def internal(error: Exception, phase: DeploymentPhase) -> Failure:
    """``error`` is logged by whoever caught it; the words are safe to show only for our own errors."""
    return Failure(
        FailureCode.INTERNAL,
        f"The platform failed at this ({type(error).__name__}); its worker's log says more.",
        "Deploy again; if it happens again, give the operator this deployment's id.",
        phase,
    )
