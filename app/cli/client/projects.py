"""Made from operations/projects.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from app.cli.client.shared import Page, Refusal
from app.cli.client.transport import Client, Operation


class ProjectRow(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    slug: str
    display_name: str
    created_at: datetime
    deleted_at: datetime | None


class ProjectListProjects(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[ProjectRow]
    page_info: Page


class ProjectList(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    projects: ProjectListProjects


class ProjectShowProjectAppsNodes(Struct, frozen=True, kw_only=True, rename="camel"):
    slug: str
    display_name: str


class ProjectShowProjectApps(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[ProjectShowProjectAppsNodes]


class ProjectShowProjectEnvironmentsNodes(Struct, frozen=True, kw_only=True, rename="camel"):
    slug: str
    branch_pattern: str
    is_default: bool


class ProjectShowProjectEnvironments(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[ProjectShowProjectEnvironmentsNodes]


class ProjectShowProject(ProjectRow, frozen=True, kw_only=True, rename="camel"):
    apps: ProjectShowProjectApps
    environments: ProjectShowProjectEnvironments


class ProjectShow(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    project: ProjectShowProject | None


class ProjectMake(Struct, frozen=True, kw_only=True, rename="camel"):
    project: ProjectRow | None
    user_errors: list[Refusal]


class ProjectCreateInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    display_name: str | None = None
    organization_id: str
    slug: str


class ProjectRename(Struct, frozen=True, kw_only=True, rename="camel"):
    project: ProjectRow | None
    user_errors: list[Refusal]


class ProjectUpdateInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    display_name: str | None = None


class ProjectRemove(Struct, frozen=True, kw_only=True, rename="camel"):
    user_errors: list[Refusal]


class ProjectBringBack(Struct, frozen=True, kw_only=True, rename="camel"):
    user_errors: list[Refusal]


_PROJECT_LIST = Operation[ProjectList | None](
    """
query ProjectList($organization: String!, $includeDeleted: Boolean!, $after: String) {
  organization(slug: $organization) {
    id
    projects(first: 100, after: $after, includeDeleted: $includeDeleted) {
      nodes {
        ...ProjectRow
      }
      pageInfo {
        ...Page
      }
    }
  }
}

fragment ProjectRow on Project {
  id
  slug
  displayName
  createdAt
  deletedAt
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    ProjectList | None,
)


def project_list(
    client: Client, *, organization: str, include_deleted: bool, after: str | None = None
) -> ProjectList | None:
    return client.execute(
        _PROJECT_LIST,
        {"organization": organization, "includeDeleted": include_deleted, "after": after},
    )


_PROJECT_SHOW = Operation[ProjectShow | None](
    """
query ProjectShow($organization: String!, $project: String!) {
  organization(slug: $organization) {
    id
    project(slug: $project) {
      ...ProjectRow
      apps(first: 100) {
        nodes {
          slug
          displayName
        }
      }
      environments(first: 100) {
        nodes {
          slug
          branchPattern
          isDefault
        }
      }
    }
  }
}

fragment ProjectRow on Project {
  id
  slug
  displayName
  createdAt
  deletedAt
}
""",
    ProjectShow | None,
)


def project_show(client: Client, *, organization: str, project: str) -> ProjectShow | None:
    return client.execute(_PROJECT_SHOW, {"organization": organization, "project": project})


_PROJECT_MAKE = Operation[ProjectMake](
    """
mutation ProjectMake($input: ProjectCreateInput!) {
  projectCreate(input: $input) {
    project {
      ...ProjectRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment ProjectRow on Project {
  id
  slug
  displayName
  createdAt
  deletedAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    ProjectMake,
)


def project_make(client: Client, *, input: ProjectCreateInput) -> ProjectMake:
    return client.execute(_PROJECT_MAKE, {"input": input})


_PROJECT_RENAME = Operation[ProjectRename](
    """
mutation ProjectRename($id: ID!, $input: ProjectUpdateInput!) {
  projectUpdate(id: $id, input: $input) {
    project {
      ...ProjectRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment ProjectRow on Project {
  id
  slug
  displayName
  createdAt
  deletedAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    ProjectRename,
)


def project_rename(client: Client, *, id: str, input: ProjectUpdateInput) -> ProjectRename:
    return client.execute(_PROJECT_RENAME, {"id": id, "input": input})


_PROJECT_REMOVE = Operation[ProjectRemove](
    """
mutation ProjectRemove($id: ID!) {
  projectDelete(id: $id) {
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
    ProjectRemove,
)


def project_remove(client: Client, *, id: str) -> ProjectRemove:
    return client.execute(_PROJECT_REMOVE, {"id": id})


_PROJECT_BRING_BACK = Operation[ProjectBringBack](
    """
mutation ProjectBringBack($id: ID!) {
  projectRestore(id: $id) {
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
    ProjectBringBack,
)


def project_bring_back(client: Client, *, id: str) -> ProjectBringBack:
    return client.execute(_PROJECT_BRING_BACK, {"id": id})
