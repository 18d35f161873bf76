"""Deployments: of one instance, or of every environment that a branch belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.access import find
from app.builds import queries as build_queries
from app.deployments import queries, service
from app.environments.previews import PreviewMaker
from app.errors import InvalidInput, NotFound
from app.models import (
    Deployment,
    DeploymentPhase,
    DeploymentStatus,
    DeploymentStep,
    DeploymentTrigger,
    FailureCode,
    StepStatus,
)
from app.pushes import branch as branches
from app.refs import branch_of
from app.rest.endpoint import Answer, Call, Given, Nothing, ReadCall, WriteCall, read, write

MAX_LISTED = 100
MAX_LINES = 5_000


class FailureAnswer(Answer, frozen=True):
    code: FailureCode
    phase: DeploymentPhase | None
    message: str
    hint: str | None
    log_tail: list[str]

    @classmethod
    def of(cls, row: Deployment) -> FailureAnswer | None:
        if row.failure_code is None:
            return None
        return cls(
            code=row.failure_code,
            phase=row.failure_phase,
            message=row.failure_message or "",
            hint=row.failure_hint,
            log_tail=[str(line) for line in row.failure_log_tail],
        )


class DeploymentAnswer(Answer, frozen=True):
    id: str
    number: int
    environment: str
    status: DeploymentStatus
    phase: DeploymentPhase | None
    trigger: DeploymentTrigger
    ref: str | None
    commit_sha: str | None
    commit_message: str | None
    build_id: str | None
    release_id: str | None
    source_deployment_id: str | None
    superseded_by_id: str | None
    desired_replicas: int
    healthy_replicas: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failure: FailureAnswer | None
    """Null unless it failed."""

    @classmethod
    def of(cls, row: Deployment, environment: str) -> DeploymentAnswer:
        return cls(**deployment_fields(row, environment))


def deployment_fields(row: Deployment, environment: str) -> dict[str, Any]:
    told = {"environment": environment, "failure": FailureAnswer.of(row)}
    same = (name for name in DeploymentAnswer.__struct_fields__ if name not in told)
    return {**told, **{name: getattr(row, name) for name in same}}


class StepAnswer(Answer, frozen=True):
    phase: DeploymentPhase
    status: StepStatus
    message: str | None
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: DeploymentStep) -> StepAnswer:
        return cls(
            phase=row.phase,
            status=row.status,
            message=row.message,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class DeploymentDetail(DeploymentAnswer, frozen=True):
    steps: list[StepAnswer]


class DeploymentList(Answer, frozen=True):
    deployments: list[DeploymentAnswer]


class DeploymentFilter(Given, frozen=True):
    limit: int = 20
    before: int | None = None
    """Only those numbered below: pages on."""


class DeploymentCreate(Given, frozen=True):
    """Without either: what runs now, or the environment's branch."""

    ref: str | None = None
    commit_sha: str | None = None


class BranchDeploy(Given, frozen=True):
    ref: str
    """A branch."""
    commit_sha: str | None = None
    """Instead of the branch's newest commit."""


class BranchDeployed(Answer, frozen=True, omit_defaults=True):
    """``{"deployments": […]}``, or ``{"skipped": true, "reason": "…"}`` when no environment matches."""

    skipped: bool = False
    reason: str | None = None
    deployments: list[DeploymentAnswer] = []


class Promotion(Given, frozen=True):
    to_environment: str


class BuildLogPage(Given, frozen=True):
    after: int = 0
    """Only lines numbered above: pages on."""
    limit: int = 1_000


class LogLine(Answer, frozen=True):
    number: int
    text: str
    created_at: datetime


class BuildLog(Answer, frozen=True):
    build_id: str | None
    """Null until it is known which build the deployment waits for."""
    lines: list[LogLine]


async def list_deployments(call: ReadCall[DeploymentFilter]) -> DeploymentList:
    """An instance's deployments, newest first."""
    limit = _within(call.input.limit, MAX_LISTED)
    instance = await find.instance(call.session, call.actor, slugs=call.slugs("app", "env"))
    rows = await queries.of_instance(
        call.session, instance.id, limit=limit, before_number=_small(call.input.before)
    )
    environment = call.path["env"]
    return DeploymentList(deployments=[DeploymentAnswer.of(row, environment) for row in rows])


async def create_deployment(call: WriteCall[DeploymentCreate]) -> DeploymentAnswer:
    """Deploy a branch, tag or commit to this environment; also one that runs already."""
    instance = await find.instance(call.session, call.actor, slugs=call.slugs("app", "env"))
    row = await service.create_from_ref(
        call.session,
        call.actor,
        instance,
        call.container.repositories,
        ref=_text(call.input.ref, "ref"),
        commit_sha=_text(call.input.commit_sha, "commitSha"),
    )
    return DeploymentAnswer.of(row, call.path["env"])


async def deploy_branch(call: WriteCall[BranchDeploy]) -> BranchDeployed:
    """Deploy a branch to every environment whose pattern matches it, as a push would."""
    app = await find.app(call.session, call.actor, slugs=call.slugs("app"))
    found, deployed = await branches.deploy_branch(
        call.session,
        call.actor,
        app,
        call.container.repositories,
        PreviewMaker(call.container.secret_box, call.container.settings.wildcard_base),
        branch=_branch(call.input.ref),
        commit_sha=_text(call.input.commit_sha, "commitSha"),
    )
    if not found.environments:
        return BranchDeployed(skipped=True, reason=found.reason)
    return BranchDeployed(
        deployments=[DeploymentAnswer.of(row, environment.slug) for environment, row in deployed]
    )


async def show_deployment(call: ReadCall[Nothing]) -> DeploymentDetail:
    """One deployment with its steps."""
    row = await _deployment(call)
    steps: Sequence[DeploymentStep] = (await queries.steps(call.session, [row.id]))[row.id]
    return DeploymentDetail(
        **deployment_fields(row, call.path["env"]), steps=[StepAnswer.of(step) for step in steps]
    )


async def cancel_deployment(call: WriteCall[Nothing]) -> DeploymentAnswer:
    """Ask a deployment under way to end; what ran before is put back."""
    row = await service.cancel(call.session, call.actor, await _deployment(call))
    return DeploymentAnswer.of(row, call.path["env"])


async def roll_back(call: WriteCall[Nothing]) -> DeploymentAnswer:
    """Go back to this deployment's code, variables and scale, without building."""
    row = await service.rollback(
        call.session, call.actor, await _deployment(call), call.container.secret_box
    )
    return DeploymentAnswer.of(row, call.path["env"])


async def promote_deployment(call: WriteCall[Promotion]) -> DeploymentAnswer:
    """Deploy this deployment's build in another environment, without building."""
    target = await find.instance(
        call.session, call.actor, slugs=(*call.slugs("app"), call.input.to_environment)
    )
    row = await service.promote(call.session, call.actor, await _deployment(call), target)
    return DeploymentAnswer.of(row, call.input.to_environment)


async def show_build_log(call: ReadCall[BuildLogPage]) -> BuildLog:
    """What the deployment's build wrote, oldest line first."""
    row = await _deployment(call)
    if row.build_id is None:
        return BuildLog(build_id=None, lines=[])
    lines = await build_queries.log_lines(
        call.session,
        row.build_id,
        after=_small(call.input.after) or 0,
        limit=_within(call.input.limit, MAX_LINES),
    )
    return BuildLog(
        build_id=row.build_id,
        lines=[
            LogLine(number=line.number, text=line.text, created_at=line.created_at)
            for line in lines
        ],
    )


async def _deployment(call: Call[Any, Any]) -> Deployment:
    digits = call.path["number"]
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 11 else 0
    return await find.deployment(
        call.session, call.actor, slugs=call.slugs("app", "env"), number=number
    )


def _branch(ref: str) -> str:
    _text(ref, "ref")
    branch = branch_of(ref) if ref.startswith("refs/") else ref
    if not branch:
        raise InvalidInput(
            f"{ref[:100]!r} is no branch.", field="ref", hint="Name a branch, such as main."
        )
    return branch


def _text(value: str | None, field: str) -> str | None:
    """A ref or commit goes to the repository, which no NUL or overlong name reaches."""
    if value is not None and ("\0" in value or not value or len(value) > 1000):
        raise InvalidInput(
            "A ref or commit has 1 to 1000 characters, and no NUL among them.", field=field
        )
    return value


def _within(limit: int, most: int) -> int:
    if not 1 <= limit <= most:
        raise InvalidInput(f"limit is between 1 and {most}, and this is {limit}.", field="limit")
    return limit


def _small(number: int | None) -> int | None:
    """A row's number fits 31 bits; what lies beyond is none of ours."""
    if number is not None and not 0 <= number < 2**31:
        raise NotFound("There is no such number.")
    return number


_APP = "/api/orgs/{org}/projects/{project}/apps/{app}/deployments/"
_ALL = "/api/orgs/{org}/projects/{project}/apps/{app}/envs/{env}/deployments/"
_ONE = _ALL + "{number}"

ENDPOINTS = (
    write("POST", _APP, deploy_branch, BranchDeployed, BranchDeploy),
    read(_ALL, list_deployments, DeploymentList, DeploymentFilter),
    write("POST", _ALL, create_deployment, DeploymentAnswer, DeploymentCreate, status=201),
    read(_ONE, show_deployment, DeploymentDetail),
    write("POST", _ONE + "/cancel", cancel_deployment, DeploymentAnswer),
    write("POST", _ONE + "/rollback", roll_back, DeploymentAnswer, status=201),
    write("POST", _ONE + "/promote", promote_deployment, DeploymentAnswer, Promotion, status=201),
    read(_ONE + "/build-log", show_build_log, BuildLog, BuildLogPage),
)
