"""Made from operations/instances.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from app.cli.client.shared import DeploymentRow, Refusal
from app.cli.client.transport import Client, Operation


class InstanceFindProjectAppInstanceEnvironment(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    slug: str


class InstanceFindProjectAppInstance(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    url: str
    environment: InstanceFindProjectAppInstanceEnvironment


class InstanceFindProjectApp(Struct, frozen=True, kw_only=True, rename="camel"):
    git_remote_url: str
    instance: InstanceFindProjectAppInstance | None


class InstanceFindProject(Struct, frozen=True, kw_only=True, rename="camel"):
    deleted_at: datetime | None
    app: InstanceFindProjectApp | None


class InstanceFind(Struct, frozen=True, kw_only=True, rename="camel"):
    project: InstanceFindProject | None


class DefaultEnvironmentProjectDefaultEnvironment(
    Struct, frozen=True, kw_only=True, rename="camel"
):
    slug: str


class DefaultEnvironmentProject(Struct, frozen=True, kw_only=True, rename="camel"):
    default_environment: DefaultEnvironmentProjectDefaultEnvironment | None


class DefaultEnvironment(Struct, frozen=True, kw_only=True, rename="camel"):
    project: DefaultEnvironmentProject | None


class InstanceStatusOnInstanceApp(Struct, frozen=True, kw_only=True, rename="camel"):
    slug: str


class InstanceStatusOnInstanceEnvironment(Struct, frozen=True, kw_only=True, rename="camel"):
    slug: str


class InstanceStatusOnInstanceScale(Struct, frozen=True, kw_only=True, rename="camel"):
    replicas: int
    cpu_millis: int
    memory_mb: int


class InstanceStatusOnInstanceContainers(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    state: str
    healthy: bool
    restarts: int
    started_at: datetime | None
    message: str
    exit_code: int | None
    oom_killed: bool


class InstanceStatusOnInstanceDeployments(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[DeploymentRow]


class StagedVariables(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    kind: str
    is_build: bool


class StagedSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    before: int | None
    after: int


class Staged(Struct, frozen=True, kw_only=True, rename="camel"):
    needs_build: bool
    variables: list[StagedVariables]
    settings: list[StagedSettings]


class InstanceStatusOnInstance(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="__typename", tag="Instance"
):
    id: str
    url: str
    status: str
    app: InstanceStatusOnInstanceApp
    environment: InstanceStatusOnInstanceEnvironment
    scale: InstanceStatusOnInstanceScale
    containers: list[InstanceStatusOnInstanceContainers] | None
    current_deployment: DeploymentRow | None
    deployments: InstanceStatusOnInstanceDeployments
    staged_changes: Staged | None


class VariableListOnInstanceEnvVars(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    value: str | None
    is_build: bool
    updated_at: datetime


class VariableListOnInstance(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="__typename", tag="Instance"
):
    env_vars: list[VariableListOnInstanceEnvVars]


class ScaleShowOnInstanceScale(Struct, frozen=True, kw_only=True, rename="camel"):
    replicas: int
    cpu_millis: int
    memory_mb: int


class ScaleShowOnInstance(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="__typename", tag="Instance"
):
    scale: ScaleShowOnInstanceScale


class VariablesPut(Struct, frozen=True, kw_only=True, rename="camel"):
    deployment: DeploymentRow | None
    user_errors: list[Refusal]


class EnvVarInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    is_build: bool | None = None
    name: str
    value: str


class EnvVarsSetInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    deploy: bool = True
    vars: Sequence[EnvVarInput]


class VariablesDrop(Struct, frozen=True, kw_only=True, rename="camel"):
    deployment: DeploymentRow | None
    user_errors: list[Refusal]


class ScaleChangeInstanceScale(Struct, frozen=True, kw_only=True, rename="camel"):
    replicas: int
    cpu_millis: int
    memory_mb: int


class ScaleChangeInstance(Struct, frozen=True, kw_only=True, rename="camel"):
    scale: ScaleChangeInstanceScale


class ScaleChange(Struct, frozen=True, kw_only=True, rename="camel"):
    instance: ScaleChangeInstance | None
    deployment: DeploymentRow | None
    user_errors: list[Refusal]


class ScaleInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    cpu_millis: int | None = None
    deploy: bool = True
    memory_mb: int | None = None
    replicas: int | None = None


class Apply(Struct, frozen=True, kw_only=True, rename="camel"):
    deployment: DeploymentRow | None
    user_errors: list[Refusal]


_INSTANCE_FIND = Operation[InstanceFind | None](
    """
query InstanceFind($organization: String!, $project: String!, $app: String!, $environment: String!) {
  organization(slug: $organization) {
    project(slug: $project) {
      deletedAt
      app(slug: $app) {
        gitRemoteUrl
        instance(environment: $environment) {
          id
          url
          environment {
            id
            slug
          }
        }
      }
    }
  }
}
""",
    InstanceFind | None,
)


def instance_find(
    client: Client, *, organization: str, project: str, app: str, environment: str
) -> InstanceFind | None:
    return client.execute(
        _INSTANCE_FIND,
        {"organization": organization, "project": project, "app": app, "environment": environment},
    )


_DEFAULT_ENVIRONMENT = Operation[DefaultEnvironment | None](
    """
query DefaultEnvironment($organization: String!, $project: String!) {
  organization(slug: $organization) {
    project(slug: $project) {
      defaultEnvironment {
        slug
      }
    }
  }
}
""",
    DefaultEnvironment | None,
)


def default_environment(
    client: Client, *, organization: str, project: str
) -> DefaultEnvironment | None:
    return client.execute(_DEFAULT_ENVIRONMENT, {"organization": organization, "project": project})


_INSTANCE_STATUS = Operation[InstanceStatusOnInstance | None](
    """
query InstanceStatus($id: ID!) {
  node(id: $id) {
    __typename
    ... on Instance {
      id
      url
      status
      app {
        slug
      }
      environment {
        slug
      }
      scale {
        replicas
        cpuMillis
        memoryMb
      }
      containers {
        name
        state
        healthy
        restarts
        startedAt
        message
        exitCode
        oomKilled
      }
      currentDeployment {
        ...DeploymentRow
      }
      deployments(first: 5) {
        nodes {
          ...DeploymentRow
        }
      }
      stagedChanges {
        ...Staged
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

fragment Staged on StagedChanges {
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
""",
    InstanceStatusOnInstance | None,
)


def instance_status(client: Client, *, id: str) -> InstanceStatusOnInstance | None:
    return client.execute(_INSTANCE_STATUS, {"id": id})


_VARIABLE_LIST = Operation[VariableListOnInstance | None](
    """
query VariableList($id: ID!) {
  node(id: $id) {
    __typename
    ... on Instance {
      envVars {
        name
        value
        isBuild
        updatedAt
      }
    }
  }
}
""",
    VariableListOnInstance | None,
)


def variable_list(client: Client, *, id: str) -> VariableListOnInstance | None:
    return client.execute(_VARIABLE_LIST, {"id": id})


_SCALE_SHOW = Operation[ScaleShowOnInstance | None](
    """
query ScaleShow($id: ID!) {
  node(id: $id) {
    __typename
    ... on Instance {
      scale {
        replicas
        cpuMillis
        memoryMb
      }
    }
  }
}
""",
    ScaleShowOnInstance | None,
)


def scale_show(client: Client, *, id: str) -> ScaleShowOnInstance | None:
    return client.execute(_SCALE_SHOW, {"id": id})


_VARIABLES_PUT = Operation[VariablesPut](
    """
mutation VariablesPut($instanceId: ID!, $input: EnvVarsSetInput!) {
  envVarsSet(instanceId: $instanceId, input: $input) {
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
    VariablesPut,
)


def variables_put(client: Client, *, instance_id: str, input: EnvVarsSetInput) -> VariablesPut:
    return client.execute(_VARIABLES_PUT, {"instanceId": instance_id, "input": input})


_VARIABLES_DROP = Operation[VariablesDrop](
    """
mutation VariablesDrop($instanceId: ID!, $names: [String!]!, $deploy: Boolean!) {
  envVarsUnset(instanceId: $instanceId, names: $names, deploy: $deploy) {
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
    VariablesDrop,
)


def variables_drop(
    client: Client, *, instance_id: str, names: Sequence[str], deploy: bool
) -> VariablesDrop:
    return client.execute(
        _VARIABLES_DROP, {"instanceId": instance_id, "names": names, "deploy": deploy}
    )


_SCALE_CHANGE = Operation[ScaleChange](
    """
mutation ScaleChange($instanceId: ID!, $input: ScaleInput!) {
  scaleUpdate(instanceId: $instanceId, input: $input) {
    instance {
      scale {
        replicas
        cpuMillis
        memoryMb
      }
    }
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
    ScaleChange,
)


def scale_change(client: Client, *, instance_id: str, input: ScaleInput) -> ScaleChange:
    return client.execute(_SCALE_CHANGE, {"instanceId": instance_id, "input": input})


_APPLY = Operation[Apply](
    """
mutation Apply($id: ID!) {
  instanceApply(id: $id) {
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
    Apply,
)


def apply(client: Client, *, id: str) -> Apply:
    return client.execute(_APPLY, {"id": id})
