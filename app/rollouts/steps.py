"""The checkpoints of a deployment: after each, something has taken effect that a new worker must find."""

from __future__ import annotations

from typing import Final

STEPS: Final = (
    "deployment.build_requested",
    "deployment.release_frozen",
    "deployment.namespace_ready",
    "deployment.secrets_put",
    "deployment.job_submitted",
    "deployment.submission_recorded",
    "deployment.route_recorded",
    "deployment.succeeded",
    "deployment.superseded",
    "deployment.failure_recorded",
    "deployment.previous_restored",
    "deployment.job_stopped",
    "deployment.failed",
    "deployment.canceled",
    "deployment.secrets_pruned",
    "instance.removed_secrets",
    "instance.removed_routes",
    "instance.removed",
)
"""In the order in which they may be passed. A test kills a worker at each, and a new one goes on."""
