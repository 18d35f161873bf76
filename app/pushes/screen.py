"""What a pushing client is shown: pure, from what is known of its deployments now and what was shown before.

    -----> Deploying 1a2b3c4 to production (#12)
    -----> Building
           Collecting flask
    -----> Checking health
           1 of 2 copies are healthy
    -----> Live at http://acme.storefront-web-production.apps.localhost:7080

Where a push deploys to several environments, each line says which it is about. A build that they share
is shown once; of one that was made before the push, only that it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.models import TERMINAL_STATUSES, DeploymentPhase, DeploymentStatus, StepStatus

STEP = "-----> "
DETAIL = " " * 7
PROBLEM = " !     "
_TITLES = {
    DeploymentPhase.BUILD: "Building",
    DeploymentPhase.RELEASE: "Making the release",
    DeploymentPhase.SCHEDULE: "Starting",
    DeploymentPhase.HEALTH_CHECK: "Checking health",
    DeploymentPhase.ROUTE: "Switching the router",
}


@dataclass(frozen=True)
class StepView:
    phase: DeploymentPhase
    status: StepStatus
    message: str | None


@dataclass(frozen=True)
class DeploymentView:
    """One deployment as it is now."""

    id: str
    number: int
    environment: str
    url: str
    commit: str
    status: DeploymentStatus
    desired: int = 0
    healthy: int = 0
    build_id: str | None = None
    built_before: datetime | None = None
    """When its build was made, if that was done before the deployment asked for it."""
    superseded_by: int | None = None
    failure_message: str | None = None
    failure_hint: str | None = None
    failure_log: Sequence[str] = ()
    steps: Sequence[StepView] = ()

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_STATUSES


@dataclass
class Screen:
    """Remembers what was shown, so that each fact is shown once."""

    _shown: set[tuple[str, ...]] = field(default_factory=set)

    def opening(self, views: Sequence[DeploymentView]) -> list[str]:
        return [
            f"{STEP}Deploying {view.commit[:12]} to {view.environment} (#{view.number})"
            for view in views
            if self._first("deployment", view.id)
        ]

    def log(
        self, views: Sequence[DeploymentView], build_id: str, texts: Sequence[str]
    ) -> list[str]:
        """New lines of a build; under the name of one environment unless all of them share it."""
        label = self._build_label(views, build_id)
        return self._build_title(label, build_id) + [DETAIL + label + text for text in texts]

    def shows_log(self, views: Sequence[DeploymentView], build_id: str) -> bool:
        """Whether one of the deployments waited for the build, so that its log is news."""
        return any(view.build_id == build_id and view.built_before is None for view in views)

    def standing(self, views: Sequence[DeploymentView]) -> list[str]:
        """What of the deployments themselves is new."""
        labels = _labels(views)
        lines: list[str] = []
        for view in views:
            if view.build_id is not None and view.status is DeploymentStatus.BUILDING:
                label = self._build_label(views, view.build_id)
                lines += self._build_title(label, view.build_id)
            lines += self._reuse(view, labels[view.id])
            lines += self._steps(view, labels[view.id])
            if view.ended and self._first("end", view.id):
                lines += _ending(view, labels[view.id])
        return lines

    def _reuse(self, view: DeploymentView, label: str) -> list[str]:
        """Said instead of the log; of a build whose log was shown there is nothing to say."""
        if view.build_id is None or view.built_before is None:
            return []
        if ("building", view.build_id) in self._shown or not self._first("reused", view.id):
            return []
        made = f"{view.built_before:%Y-%m-%d %H:%M:%S %Z}"
        return [f"{DETAIL}{label}Using the build of {view.commit[:12]} made at {made}"]

    def _build_label(self, views: Sequence[DeploymentView], build_id: str) -> str:
        sharing = [view for view in views if view.build_id == build_id]
        return "" if len(sharing) == len(views) else _labels(views)[sharing[0].id]

    def _build_title(self, label: str, build_id: str) -> list[str]:
        first = self._first("building", build_id)
        return [STEP + label + _TITLES[DeploymentPhase.BUILD]] if first else []

    def _steps(self, view: DeploymentView, label: str) -> list[str]:
        lines: list[str] = []
        for step in view.steps:
            if step.status in _NOT_REACHED or step.phase is DeploymentPhase.BUILD:
                continue
            if self._first("step", view.id, step.phase):
                lines.append(STEP + label + _TITLES[step.phase])
            if step.message and self._first("message", view.id, step.phase, step.message):
                lines.append(DETAIL + label + step.message)
        if view.desired and self._counts(view):
            lines.append(DETAIL + label + f"{view.healthy} of {view.desired} copies are healthy")
        return lines

    def _counts(self, view: DeploymentView) -> bool:
        """Only once a copy is healthy: until then the step's title says all."""
        seen = (str(view.healthy), str(view.desired))
        return view.healthy > 0 and self._first("healthy", view.id, *seen)

    def _first(self, *fact: str) -> bool:
        if fact in self._shown:
            return False
        self._shown.add(fact)
        return True


_NOT_REACHED = frozenset({StepStatus.PENDING, StepStatus.SKIPPED})


def _labels(views: Sequence[DeploymentView]) -> dict[str, str]:
    """``[staging] ``; with the deployment's number where an environment is deployed to twice."""
    if len(views) == 1:
        return {views[0].id: ""}
    environments = [view.environment for view in views]
    return {
        view.id: f"[{view.environment}] "
        if environments.count(view.environment) == 1
        else f"[{view.environment} #{view.number}] "
        for view in views
    }


def _ending(view: DeploymentView, label: str) -> list[str]:
    if view.status is DeploymentStatus.SUCCEEDED:
        return [f"{STEP}{label}Live at {view.url}"]
    if view.status is DeploymentStatus.SUPERSEDED:
        by = f"#{view.superseded_by}" if view.superseded_by else "a newer one"
        return [f"{PROBLEM}{label}Deployment #{view.number} gave way to {by}."]
    if view.status is DeploymentStatus.CANCELED:
        return [f"{PROBLEM}{label}Deployment #{view.number} was cancelled."]
    message = view.failure_message or "It failed."
    lines = [f"{PROBLEM}{label}Deployment #{view.number} to {view.environment} failed: {message}"]
    lines += [f"{PROBLEM}{label}{line}" for line in (view.failure_hint or "").splitlines()]
    return lines + [f"{DETAIL}{label}{line}" for line in view.failure_log]
