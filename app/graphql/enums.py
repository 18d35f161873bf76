"""The tables' enums as GraphQL's. Declared here together: each must be before any type mentions it."""

from __future__ import annotations

import strawberry

from app import models
from app.access.permissions import Permission
from app.audit.actions import Action
from app.instances.plan import ChangeKind
from app.instances.status import InstanceStatus
from app.ports.logs import LogLevel, LogStream
from app.ports.scheduler import AllocationState

strawberry.enum(
    models.Role,
    description="What a member may do in an organization: each at least what the next may.",
)
strawberry.enum(Permission, description="What a token may be made for, and a role holds.")
strawberry.enum(Action, name="AuditAction", description="What an entry of the audit log tells of.")
strawberry.enum(models.PushStatus, description="What became of a push.")
strawberry.enum(models.BuildStatus, description="How far a build has come.")
strawberry.enum(models.BuildKind, description="What a build makes.")
strawberry.enum(models.DeploymentStatus, description="The last four are final.")
strawberry.enum(models.DeploymentPhase, description="The steps of a deployment, in order.")
strawberry.enum(models.DeploymentTrigger, description="What a deployment was made by.")
strawberry.enum(models.StepStatus, description="How far a step of a deployment has come.")
strawberry.enum(models.FailureCode, description="Why a build or a deployment failed.")
strawberry.enum(models.EventKind, description="The noun, and what happened to it.")
strawberry.enum(
    models.DeliveryStatus, description="FAILED: it is not tried again unless asked for."
)
strawberry.enum(models.RemoteHost, description="Whose webhooks and statuses a remote speaks.")
strawberry.enum(
    models.RemotePushStatus, description="How far the fetch of a push elsewhere has come."
)
strawberry.enum(
    LogStream, description="What a line was written to. SYSTEM: the platform's own word among them."
)
strawberry.enum(LogLevel, description="How serious a line says that it is.")
strawberry.enum(ChangeKind, description="How a variable differs from the current release.")
strawberry.enum(
    InstanceStatus,
    description="EMPTY: nothing was deployed yet. DEGRADED: fewer copies answer than there should be;"
    " CRASHED: none does. STOPPED: its project is deleted, or it is scaled to none. UNKNOWN: the"
    " router's catalog did not answer.",
)
strawberry.enum(
    AllocationState, name="ContainerState", description="What the engine says of a copy."
)
