"""Made from operations/environments.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.cli.client.shared import Page, Refusal
from app.cli.client.transport import Client, Operation


class EnvironmentRow(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    slug: str
    display_name: str
    branch_pattern: str
    is_default: bool
    is_preview: bool
    protected_for: list[str] | None
    created_at: datetime


class EnvironmentListProjectEnvironments(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[EnvironmentRow]
    page_info: Page


class EnvironmentListProject(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    environments: EnvironmentListProjectEnvironments


class EnvironmentList(Struct, frozen=True, kw_only=True, rename="camel"):
    project: EnvironmentListProject | None


class EnvironmentShowProjectEnvironmentInstancesNodesApp(
    Struct, frozen=True, kw_only=True, rename="camel"
):
    slug: str


class EnvironmentShowProjectEnvironmentInstancesNodes(
    Struct, frozen=True, kw_only=True, rename="camel"
):
    app: EnvironmentShowProjectEnvironmentInstancesNodesApp
    status: str
    url: str


class EnvironmentShowProjectEnvironmentInstances(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[EnvironmentShowProjectEnvironmentInstancesNodes]


class EnvironmentShowProjectEnvironment(EnvironmentRow, frozen=True, kw_only=True, rename="camel"):
    instances: EnvironmentShowProjectEnvironmentInstances


class EnvironmentShowProject(Struct, frozen=True, kw_only=True, rename="camel"):
    environment: EnvironmentShowProjectEnvironment | None


class EnvironmentShow(Struct, frozen=True, kw_only=True, rename="camel"):
    project: EnvironmentShowProject | None


class BranchWayEnvironments(Struct, frozen=True, kw_only=True, rename="camel"):
    slug: str


class BranchWay(Struct, frozen=True, kw_only=True, rename="camel"):
    branch: str
    skipped: bool
    reason: str
    pattern: str | None
    environments: list[BranchWayEnvironments]


class EnvironmentMake(Struct, frozen=True, kw_only=True, rename="camel"):
    environment: EnvironmentRow | None
    user_errors: list[Refusal]


class EnvironmentCreateInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    branch_pattern: str
    display_name: str | None = None
    make_default: bool = False
    project_id: str
    slug: str


class EnvironmentChange(Struct, frozen=True, kw_only=True, rename="camel"):
    environment: EnvironmentRow | None
    user_errors: list[Refusal]


class EnvironmentUpdateInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    branch_pattern: str | None = None
    display_name: str | None = None
    make_default: bool | None = None


class EnvironmentRemove(Struct, frozen=True, kw_only=True, rename="camel"):
    user_errors: list[Refusal]


class EnvironmentKeep(Struct, frozen=True, kw_only=True, rename="camel"):
    environment: EnvironmentRow | None
    user_errors: list[Refusal]


Role = Literal["ADMIN", "DEVELOPER", "OWNER", "VIEWER"]


_ENVIRONMENT_LIST = Operation[EnvironmentList | None](
    """
query EnvironmentList($organization: String!, $project: String!, $after: String) {
  organization(slug: $organization) {
    project(slug: $project) {
      id
      environments(first: 100, after: $after) {
        nodes {
          ...EnvironmentRow
        }
        pageInfo {
          ...Page
        }
      }
    }
  }
}

fragment EnvironmentRow on Environment {
  id
  slug
  displayName
  branchPattern
  isDefault
  isPreview
  protectedFor
  createdAt
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    EnvironmentList | None,
)


def environment_list(
    client: Client, *, organization: str, project: str, after: str | None = None
) -> EnvironmentList | None:
    return client.execute(
        _ENVIRONMENT_LIST, {"organization": organization, "project": project, "after": after}
    )


_ENVIRONMENT_SHOW = Operation[EnvironmentShow | None](
    """
query EnvironmentShow($organization: String!, $project: String!, $environment: String!) {
  organization(slug: $organization) {
    project(slug: $project) {
      environment(slug: $environment) {
        ...EnvironmentRow
        instances(first: 100) {
          nodes {
            app {
              slug
            }
            status
            url
          }
        }
      }
    }
  }
}

fragment EnvironmentRow on Environment {
  id
  slug
  displayName
  branchPattern
  isDefault
  isPreview
  protectedFor
  createdAt
}
""",
    EnvironmentShow | None,
)


def environment_show(
    client: Client, *, organization: str, project: str, environment: str
) -> EnvironmentShow | None:
    return client.execute(
        _ENVIRONMENT_SHOW,
        {"organization": organization, "project": project, "environment": environment},
    )


_BRANCH_WAY = Operation[BranchWay | None](
    """
query BranchWay($projectId: ID!, $branch: String!) {
  branchMatch(projectId: $projectId, branch: $branch) {
    branch
    skipped
    reason
    pattern
    environments {
      slug
    }
  }
}
""",
    BranchWay | None,
)


def branch_way(client: Client, *, project_id: str, branch: str) -> BranchWay | None:
    return client.execute(_BRANCH_WAY, {"projectId": project_id, "branch": branch})


_ENVIRONMENT_MAKE = Operation[EnvironmentMake](
    """
mutation EnvironmentMake($input: EnvironmentCreateInput!) {
  environmentCreate(input: $input) {
    environment {
      ...EnvironmentRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment EnvironmentRow on Environment {
  id
  slug
  displayName
  branchPattern
  isDefault
  isPreview
  protectedFor
  createdAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    EnvironmentMake,
)


def environment_make(client: Client, *, input: EnvironmentCreateInput) -> EnvironmentMake:
    return client.execute(_ENVIRONMENT_MAKE, {"input": input})


_ENVIRONMENT_CHANGE = Operation[EnvironmentChange](
    """
mutation EnvironmentChange($id: ID!, $input: EnvironmentUpdateInput!) {
  environmentUpdate(id: $id, input: $input) {
    environment {
      ...EnvironmentRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment EnvironmentRow on Environment {
  id
  slug
  displayName
  branchPattern
  isDefault
  isPreview
  protectedFor
  createdAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    EnvironmentChange,
)


def environment_change(
    client: Client, *, id: str, input: EnvironmentUpdateInput
) -> EnvironmentChange:
    return client.execute(_ENVIRONMENT_CHANGE, {"id": id, "input": input})


_ENVIRONMENT_REMOVE = Operation[EnvironmentRemove](
    """
mutation EnvironmentRemove($id: ID!, $confirm: String!) {
  environmentDelete(id: $id, confirm: $confirm) {
    userErrors {
      ...Refusal
    }
  }
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    EnvironmentRemove,
)


def environment_remove(client: Client, *, id: str, confirm: str) -> EnvironmentRemove:
    return client.execute(_ENVIRONMENT_REMOVE, {"id": id, "confirm": confirm})


_ENVIRONMENT_KEEP = Operation[EnvironmentKeep](
    """
mutation EnvironmentKeep($id: ID!, $roles: [Role!]) {
  environmentProtect(id: $id, roles: $roles) {
    environment {
      ...EnvironmentRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment EnvironmentRow on Environment {
  id
  slug
  displayName
  branchPattern
  isDefault
  isPreview
  protectedFor
  createdAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    EnvironmentKeep,
)


def environment_keep(
    client: Client, *, id: str, roles: Sequence[Role] | None = None
) -> EnvironmentKeep:
    return client.execute(_ENVIRONMENT_KEEP, {"id": id, "roles": roles})
