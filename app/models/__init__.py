"""Tables and their status enums. One module a noun; importing this package registers them all."""

from app.models.access import ApiToken, Membership, ProjectMembership, Role, User
from app.models.audit import AuditEntry
from app.models.base import Base
from app.models.build import Build, BuildKind, BuildLogLine, BuildStatus
from app.models.deployment import (
    TERMINAL_STATUSES,
    Deployment,
    DeploymentPhase,
    DeploymentStatus,
    DeploymentStep,
    DeploymentTrigger,
    FailureCode,
    Release,
    StepStatus,
)
from app.models.event import Event, EventKind, KnownContainer
from app.models.idempotency import IdempotencyKey
from app.models.identity import Invitation, PasswordLink, UserIdentity, UserSession
from app.models.metric import MetricSample
from app.models.project import (
    App,
    Environment,
    EnvVar,
    Instance,
    Organization,
    PreviewRule,
    Project,
)
from app.models.push import Push, PushStatus
from app.models.quota import Quota
from app.models.reconcile import Lease, Platform, ReconcilerStatus
from app.models.remote import (
    CommitStatus,
    Remote,
    RemoteHost,
    RemotePush,
    RemotePushStatus,
)
from app.models.webhook import DeliveryStatus, Webhook, WebhookDelivery

__all__ = [
    "TERMINAL_STATUSES",
    "ApiToken",
    "App",
    "AuditEntry",
    "Base",
    "Build",
    "BuildKind",
    "BuildLogLine",
    "BuildStatus",
    "CommitStatus",
    "DeliveryStatus",
    "Deployment",
    "DeploymentPhase",
    "DeploymentStatus",
    "DeploymentStep",
    "DeploymentTrigger",
    "EnvVar",
    "Environment",
    "Event",
    "EventKind",
    "FailureCode",
    "IdempotencyKey",
    "Instance",
    "Invitation",
    "KnownContainer",
    "Lease",
    "Membership",
    "MetricSample",
    "Organization",
    "PasswordLink",
    "Platform",
    "PreviewRule",
    "Project",
    "ProjectMembership",
    "Push",
    "PushStatus",
    "Quota",
    "ReconcilerStatus",
    "Release",
    "Remote",
    "RemoteHost",
    "RemotePush",
    "RemotePushStatus",
    "Role",
    "StepStatus",
    "User",
    "UserIdentity",
    "UserSession",
    "Webhook",
    "WebhookDelivery",
]
