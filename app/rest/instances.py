"""An app in one environment: its variables, its scale, and what is staged."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.access import find
from app.instances import service
from app.instances.plan import ChangeKind, EnvVarChange
from app.instances.service import EnvVarView
from app.models import Deployment, Instance
from app.rest.apps import InstanceAnswer
from app.rest.deployments import DeploymentAnswer
from app.rest.endpoint import Answer, Call, Given, Nothing, ReadCall, WriteCall, read, write


class EnvVarAnswer(Answer, frozen=True):
    name: str
    value: str | None
    """Null without the permission to read values."""
    digest: str
    """Changes when the value does."""
    is_build: bool
    updated_at: datetime

    @classmethod
    def of(cls, view: EnvVarView) -> EnvVarAnswer:
        return cls(
            name=view.name,
            value=view.value,
            digest=view.digest,
            is_build=view.is_build,
            updated_at=view.updated_at,
        )


class EnvVarList(Answer, frozen=True):
    env_vars: list[EnvVarAnswer]


class EnvVarSet(Given, frozen=True):
    value: str
    is_build: bool | None = None
    """Also given to the build. Null keeps what it was."""
    deploy: bool = True
    """False only stages it."""


class EnvVarChanged(Answer, frozen=True):
    name: str
    deployment: DeploymentAnswer | None
    """Null when nothing had to be deployed."""


class EnvVarUnset(Given, frozen=True):
    deploy: bool = True


class ScaleAnswer(Answer, frozen=True):
    replicas: int
    cpu_millis: int
    memory_mb: int


class ScaleChanged(ScaleAnswer, frozen=True):
    deployment: DeploymentAnswer | None


class ScaleSet(Given, frozen=True):
    replicas: int | None = None
    cpu_millis: int | None = None
    memory_mb: int | None = None
    deploy: bool = True


class VariableChanged(Answer, frozen=True):
    name: str
    change: ChangeKind
    is_build: bool


class SettingChanged(Answer, frozen=True):
    name: str
    before: int | None
    after: int


class PendingAnswer(Answer, frozen=True):
    released: bool
    """False while nothing was deployed: then everything waits for the first deployment."""
    needs_build: bool
    env_vars: list[VariableChanged]
    settings: list[SettingChanged]


class Applied(Answer, frozen=True):
    deployment: DeploymentAnswer | None
    """Null when nothing was staged."""


async def show_instance(call: ReadCall[Nothing]) -> InstanceAnswer:
    """The app in this environment: where it answers and how it is scaled."""
    return InstanceAnswer.of(await _instance(call), call.path["env"], call.container.settings)


async def list_env_vars(call: ReadCall[Nothing]) -> EnvVarList:
    """The variables as desired."""
    views = await service.list_env_vars(
        call.session, call.actor, await _instance(call), call.container.secret_box
    )
    return EnvVarList(env_vars=[EnvVarAnswer.of(view) for view in views])


async def show_env_var(call: ReadCall[Nothing]) -> EnvVarAnswer:
    """One variable."""
    instance = await _instance(call)
    box = call.container.secret_box
    return EnvVarAnswer.of(
        await service.get_env_var(call.session, call.actor, instance, box, call.path["name"])
    )


async def set_env_var(call: WriteCall[EnvVarSet]) -> EnvVarChanged:
    """Set one variable, and deploy it."""
    name = call.path["name"]
    deployment = await service.set_env_vars(
        call.session,
        call.actor,
        await _instance(call),
        call.container.secret_box,
        {name: EnvVarChange(call.input.value, call.input.is_build)},
        deploy=call.input.deploy,
    )
    return EnvVarChanged(name=name, deployment=_shown(call, deployment))


async def unset_env_var(call: WriteCall[EnvVarUnset]) -> EnvVarChanged:
    """Remove one variable, and deploy that."""
    name = call.path["name"]
    deployment = await service.unset_env_vars(
        call.session, call.actor, await _instance(call), [name], deploy=call.input.deploy
    )
    return EnvVarChanged(name=name, deployment=_shown(call, deployment))


async def show_scale(call: ReadCall[Nothing]) -> ScaleAnswer:
    """Copies, and what each is given, as desired."""
    instance = await _instance(call)
    return ScaleAnswer(
        replicas=instance.replicas,
        cpu_millis=instance.cpu_millis,
        memory_mb=instance.memory_mb,
    )


async def set_scale(call: WriteCall[ScaleSet]) -> ScaleChanged:
    """Change what is given of replicas, CPU and memory, and deploy it."""
    instance = await _instance(call)
    deployment = await service.set_scale(
        call.session,
        call.actor,
        instance,
        replicas=call.input.replicas,
        cpu_millis=call.input.cpu_millis,
        memory_mb=call.input.memory_mb,
        deploy=call.input.deploy,
    )
    return ScaleChanged(
        replicas=instance.replicas,
        cpu_millis=instance.cpu_millis,
        memory_mb=instance.memory_mb,
        deployment=_shown(call, deployment),
    )


async def show_pending_changes(call: ReadCall[Nothing]) -> PendingAnswer:
    """What is desired and not in the current release."""
    found = await service.pending_changes(call.session, call.actor, await _instance(call))
    return PendingAnswer(
        released=found.released,
        needs_build=found.needs_build,
        env_vars=[
            VariableChanged(name=change.name, change=change.kind, is_build=change.is_build)
            for change in found.variables
        ],
        settings=[
            SettingChanged(name=change.name, before=change.before, after=change.after)
            for change in found.settings
        ],
    )


async def apply_pending_changes(call: WriteCall[Nothing]) -> Applied:
    """Deploy everything that is staged, at once."""
    deployment = await service.apply(call.session, call.actor, await _instance(call))
    return Applied(deployment=_shown(call, deployment))


async def _instance(call: Call[Any, Any]) -> Instance:
    return await find.instance(call.session, call.actor, slugs=call.slugs("app", "env"))


def _shown(call: Call[Any, Any], deployment: Deployment | None) -> DeploymentAnswer | None:
    return None if deployment is None else DeploymentAnswer.of(deployment, call.path["env"])


_ONE = "/api/orgs/{org}/projects/{project}/apps/{app}/envs/{env}"
_VARS = _ONE + "/env-vars/"
_VAR = _VARS + "{name}"

ENDPOINTS = (
    read(_ONE, show_instance, InstanceAnswer),
    read(_VARS, list_env_vars, EnvVarList),
    read(_VAR, show_env_var, EnvVarAnswer),
    write("PUT", _VAR, set_env_var, EnvVarChanged, EnvVarSet),
    write("DELETE", _VAR, unset_env_var, EnvVarChanged, EnvVarUnset),
    read(_ONE + "/scale", show_scale, ScaleAnswer),
    write("PATCH", _ONE + "/scale", set_scale, ScaleChanged, ScaleSet),
    read(_ONE + "/pending-changes", show_pending_changes, PendingAnswer),
    write("POST", _ONE + "/pending-changes/apply", apply_pending_changes, Applied),
)
