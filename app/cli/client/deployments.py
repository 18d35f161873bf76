"""Made from operations/deployments.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from app.cli.client.shared import DeploymentRow, Page, Refusal
from app.cli.client.transport import Client, Operation


class DeploymentListOnInstanceDeployments(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[DeploymentRow]
    page_info: Page


class DeploymentListOnInstance(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="__typename", tag="Instance"
):
    deployments: DeploymentListOnInstanceDeployments


class DeploymentStateSteps(Struct, frozen=True, kw_only=True, rename="camel"):
    phase: str
    status: str
    message: str | None


class DeploymentStateFailure(Struct, frozen=True, kw_only=True, rename="camel"):
    code: str
    message: str
    hint: str | None
    log_tail: list[str]


class DeploymentStateSupersededBy(Struct, frozen=True, kw_only=True, rename="camel"):
    number: int


class DeploymentStateBuild(Struct, frozen=True, kw_only=True, rename="camel"):
    status: str


class DeploymentStateInstanceApp(Struct, frozen=True, kw_only=True, rename="camel"):
    slug: str


class DeploymentStateInstanceEnvironment(Struct, frozen=True, kw_only=True, rename="camel"):
    slug: str


class DeploymentStateInstance(Struct, frozen=True, kw_only=True, rename="camel"):
    url: str
    app: DeploymentStateInstanceApp
    environment: DeploymentStateInstanceEnvironment


class DeploymentState(DeploymentRow, frozen=True, kw_only=True, rename="camel"):
    phase: str | None
    healthy_replicas: int
    desired_replicas: int
    steps: list[DeploymentStateSteps]
    failure: DeploymentStateFailure | None
    superseded_by: DeploymentStateSupersededBy | None
    build: DeploymentStateBuild | None
    instance: DeploymentStateInstance


class DeploymentShowOnDeployment(
    DeploymentState,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag_field="__typename",
    tag="Deployment",
):
    pass


class BuildLogLinesLines(Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: datetime
    message: str


class BuildLogLines(Struct, frozen=True, kw_only=True, rename="camel"):
    cursor: str | None
    lines: list[BuildLogLinesLines]


class BuildLinesOnDeploymentBuildLogNodes(Struct, frozen=True, kw_only=True, rename="camel"):
    timestamp: datetime
    message: str


class BuildLinesOnDeploymentBuildLog(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[BuildLinesOnDeploymentBuildLogNodes]
    page_info: Page


class BuildLinesOnDeployment(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="__typename", tag="Deployment"
):
    build_log: BuildLinesOnDeploymentBuildLog | None


class PlanChangesVariables(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    kind: str
    is_build: bool


class PlanChangesSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    before: int | None
    after: int


class PlanChanges(Struct, frozen=True, kw_only=True, rename="camel"):
    needs_build: bool
    variables: list[PlanChangesVariables]
    settings: list[PlanChangesSettings]


class Plan(Struct, frozen=True, kw_only=True, rename="camel"):
    fits: bool
    reasons: list[str]
    commit_before: str | None
    commit_after: str | None
    job_changes: list[str]
    changes: PlanChanges | None


class DeploymentPlanInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    deployment_id: str | None = None
    instance_id: str


class DeploymentMake(Struct, frozen=True, kw_only=True, rename="camel"):
    deployment: DeploymentRow | None
    user_errors: list[Refusal]


class DeploymentCreateInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    commit_sha: str | None = None
    instance_id: str
    ref: str | None = None


class BranchSend(Struct, frozen=True, kw_only=True, rename="camel"):
    deployments: list[DeploymentRow]
    skipped: bool | None
    reason: str | None
    user_errors: list[Refusal]


class RollBack(Struct, frozen=True, kw_only=True, rename="camel"):
    deployment: DeploymentRow | None
    user_errors: list[Refusal]


class Promote(Struct, frozen=True, kw_only=True, rename="camel"):
    deployment: DeploymentRow | None
    user_errors: list[Refusal]


class Cancel(Struct, frozen=True, kw_only=True, rename="camel"):
    deployment: DeploymentRow | None
    user_errors: list[Refusal]


_DEPLOYMENT_LIST = Operation[DeploymentListOnInstance | None](
    """
query DeploymentList($id: ID!, $after: String, $first: Int) {
  node(id: $id) {
    __typename
    ... on Instance {
      deployments(first: $first, after: $after) {
        nodes {
          ...DeploymentRow
        }
        pageInfo {
          ...Page
        }
      }
    }
  }
}

fragment DeploymentRow on Deployment {
  id
  number
  status
  trigger
  ref
  commitSha
  commitMessage
  createdAt
  finishedAt
  creator {
    name
  }
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    DeploymentListOnInstance | None,
)


def deployment_list(
    client: Client, *, id: str, after: str | None = None, first: int | None = None
) -> DeploymentListOnInstance | None:
    return client.execute(_DEPLOYMENT_LIST, {"id": id, "after": after, "first": first})


_DEPLOYMENT_SHOW = Operation[DeploymentShowOnDeployment | None](
    """
query DeploymentShow($id: ID!) {
  node(id: $id) {
    __typename
    ... on Deployment {
      ...DeploymentState
    }
  }
}

fragment DeploymentState on Deployment {
  ...DeploymentRow
  phase
  healthyReplicas
  desiredReplicas
  steps {
    phase
    status
    message
  }
  failure {
    code
    message
    hint
    logTail
  }
  supersededBy {
    number
  }
  build {
    status
  }
  instance {
    url
    app {
      slug
    }
    environment {
      slug
    }
  }
}

fragment DeploymentRow on Deployment {
  id
  number
  status
  trigger
  ref
  commitSha
  commitMessage
  createdAt
  finishedAt
  creator {
    name
  }
}
""",
    DeploymentShowOnDeployment | None,
)


def deployment_show(client: Client, *, id: str) -> DeploymentShowOnDeployment | None:
    return client.execute(_DEPLOYMENT_SHOW, {"id": id})


_DEPLOYMENT_CHANGES = Operation[DeploymentState](
    """
subscription DeploymentChanges($id: ID!) {
  deployment(id: $id) {
    ...DeploymentState
  }
}

fragment DeploymentState on Deployment {
  ...DeploymentRow
  phase
  healthyReplicas
  desiredReplicas
  steps {
    phase
    status
    message
  }
  failure {
    code
    message
    hint
    logTail
  }
  supersededBy {
    number
  }
  build {
    status
  }
  instance {
    url
    app {
      slug
    }
    environment {
      slug
    }
  }
}

fragment DeploymentRow on Deployment {
  id
  number
  status
  trigger
  ref
  commitSha
  commitMessage
  createdAt
  finishedAt
  creator {
    name
  }
}
""",
    DeploymentState,
)


def deployment_changes(client: Client, *, id: str) -> Iterator[DeploymentState]:
    return client.subscribe(_DEPLOYMENT_CHANGES, {"id": id})


_BUILD_LOG_LINES = Operation[BuildLogLines](
    """
subscription BuildLogLines($id: ID!, $after: String) {
  deploymentLogs(deploymentId: $id, after: $after) {
    cursor
    lines {
      timestamp
      message
    }
  }
}
""",
    BuildLogLines,
)


def build_log_lines(
    client: Client, *, id: str, after: str | None = None
) -> Iterator[BuildLogLines]:
    return client.subscribe(_BUILD_LOG_LINES, {"id": id, "after": after})


_BUILD_LINES = Operation[BuildLinesOnDeployment | None](
    """
query BuildLines($id: ID!, $after: String) {
  node(id: $id) {
    __typename
    ... on Deployment {
      buildLog(first: 100, after: $after) {
        nodes {
          timestamp
          message
        }
        pageInfo {
          ...Page
        }
      }
    }
  }
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    BuildLinesOnDeployment | None,
)


def build_lines(
    client: Client, *, id: str, after: str | None = None
) -> BuildLinesOnDeployment | None:
    return client.execute(_BUILD_LINES, {"id": id, "after": after})


_PLAN = Operation[Plan](
    """
query Plan($input: DeploymentPlanInput!) {
  deploymentPlan(input: $input) {
    fits
    reasons
    commitBefore
    commitAfter
    jobChanges
    changes {
      needsBuild
      variables {
        name
        kind
        isBuild
      }
      settings {
        name
        before
        after
      }
    }
  }
}
""",
    Plan,
)


def plan(client: Client, *, input: DeploymentPlanInput) -> Plan:
    return client.execute(_PLAN, {"input": input})


_DEPLOYMENT_MAKE = Operation[DeploymentMake](
    """
mutation DeploymentMake($input: DeploymentCreateInput!) {
  deploymentCreate(input: $input) {
    deployment {
      ...DeploymentRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment DeploymentRow on Deployment {
  id
  number
  status
  trigger
  ref
  commitSha
  commitMessage
  createdAt
  finishedAt
  creator {
    name
  }
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    DeploymentMake,
)


def deployment_make(client: Client, *, input: DeploymentCreateInput) -> DeploymentMake:
    return client.execute(_DEPLOYMENT_MAKE, {"input": input})


_BRANCH_SEND = Operation[BranchSend](
    """
mutation BranchSend($appId: ID!, $branch: String!) {
  branchDeploy(appId: $appId, branch: $branch) {
    deployments {
      ...DeploymentRow
    }
    skipped
    reason
    userErrors {
      ...Refusal
    }
  }
}

fragment DeploymentRow on Deployment {
  id
  number
  status
  trigger
  ref
  commitSha
  commitMessage
  createdAt
  finishedAt
  creator {
    name
  }
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    BranchSend,
)


def branch_send(client: Client, *, app_id: str, branch: str) -> BranchSend:
    return client.execute(_BRANCH_SEND, {"appId": app_id, "branch": branch})


_ROLL_BACK = Operation[RollBack](
    """
mutation RollBack($id: ID!) {
  deploymentRollback(id: $id) {
    deployment {
      ...DeploymentRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment DeploymentRow on Deployment {
  id
  number
  status
  trigger
  ref
  commitSha
  commitMessage
  createdAt
  finishedAt
  creator {
    name
  }
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    RollBack,
)


def roll_back(client: Client, *, id: str) -> RollBack:
    return client.execute(_ROLL_BACK, {"id": id})


_PROMOTE = Operation[Promote](
    """
mutation Promote($id: ID!, $toEnvironmentId: ID!) {
  deploymentPromote(id: $id, toEnvironmentId: $toEnvironmentId) {
    deployment {
      ...DeploymentRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment DeploymentRow on Deployment {
  id
  number
  status
  trigger
  ref
  commitSha
  commitMessage
  createdAt
  finishedAt
  creator {
    name
  }
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    Promote,
)


def promote(client: Client, *, id: str, to_environment_id: str) -> Promote:
    return client.execute(_PROMOTE, {"id": id, "toEnvironmentId": to_environment_id})


_CANCEL = Operation[Cancel](
    """
mutation Cancel($id: ID!) {
  deploymentCancel(id: $id) {
    deployment {
      ...DeploymentRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment DeploymentRow on Deployment {
  id
  number
  status
  trigger
  ref
  commitSha
  commitMessage
  createdAt
  finishedAt
  creator {
    name
  }
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    Cancel,
)


def cancel(client: Client, *, id: str) -> Cancel:
    return client.execute(_CANCEL, {"id": id})
