"""Made from operations/apps.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from app.cli.client.shared import Page, Refusal
from app.cli.client.transport import Client, Operation


class AppRow(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    slug: str
    display_name: str
    container_port: int
    git_remote_url: str
    created_at: datetime


class AppListProjectApps(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[AppRow]
    page_info: Page


class AppListProject(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    apps: AppListProjectApps


class AppList(Struct, frozen=True, kw_only=True, rename="camel"):
    project: AppListProject | None


class AppShowProjectAppInstancesNodesEnvironment(Struct, frozen=True, kw_only=True, rename="camel"):
    slug: str
    is_default: bool


class AppShowProjectAppInstancesNodesCurrentDeployment(
    Struct, frozen=True, kw_only=True, rename="camel"
):
    number: int
    commit_sha: str | None
    commit_message: str | None


class AppShowProjectAppInstancesNodes(Struct, frozen=True, kw_only=True, rename="camel"):
    environment: AppShowProjectAppInstancesNodesEnvironment
    status: str
    url: str
    current_deployment: AppShowProjectAppInstancesNodesCurrentDeployment | None


class AppShowProjectAppInstances(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[AppShowProjectAppInstancesNodes]


class AppShowProjectApp(AppRow, frozen=True, kw_only=True, rename="camel"):
    instances: AppShowProjectAppInstances


class AppShowProject(Struct, frozen=True, kw_only=True, rename="camel"):
    app: AppShowProjectApp | None


class AppShow(Struct, frozen=True, kw_only=True, rename="camel"):
    project: AppShowProject | None


class AppMake(Struct, frozen=True, kw_only=True, rename="camel"):
    app: AppRow | None
    user_errors: list[Refusal]


class AppCreateInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    container_port: int = 8080
    display_name: str | None = None
    project_id: str
    slug: str


class AppChange(Struct, frozen=True, kw_only=True, rename="camel"):
    app: AppRow | None
    user_errors: list[Refusal]


class AppUpdateInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    container_port: int | None = None
    display_name: str | None = None


class AppRemove(Struct, frozen=True, kw_only=True, rename="camel"):
    user_errors: list[Refusal]


_APP_LIST = Operation[AppList | None](
    """
query AppList($organization: String!, $project: String!, $after: String) {
  organization(slug: $organization) {
    project(slug: $project) {
      id
      apps(first: 100, after: $after) {
        nodes {
          ...AppRow
        }
        pageInfo {
          ...Page
        }
      }
    }
  }
}

fragment AppRow on App {
  id
  slug
  displayName
  containerPort
  gitRemoteUrl
  createdAt
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    AppList | None,
)


def app_list(
    client: Client, *, organization: str, project: str, after: str | None = None
) -> AppList | None:
    return client.execute(
        _APP_LIST, {"organization": organization, "project": project, "after": after}
    )


_APP_SHOW = Operation[AppShow | None](
    """
query AppShow($organization: String!, $project: String!, $app: String!) {
  organization(slug: $organization) {
    project(slug: $project) {
      app(slug: $app) {
        ...AppRow
        instances(first: 100) {
          nodes {
            environment {
              slug
              isDefault
            }
            status
            url
            currentDeployment {
              number
              commitSha
              commitMessage
            }
          }
        }
      }
    }
  }
}

fragment AppRow on App {
  id
  slug
  displayName
  containerPort
  gitRemoteUrl
  createdAt
}
""",
    AppShow | None,
)


def app_show(client: Client, *, organization: str, project: str, app: str) -> AppShow | None:
    return client.execute(_APP_SHOW, {"organization": organization, "project": project, "app": app})


_APP_MAKE = Operation[AppMake](
    """
mutation AppMake($input: AppCreateInput!) {
  appCreate(input: $input) {
    app {
      ...AppRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment AppRow on App {
  id
  slug
  displayName
  containerPort
  gitRemoteUrl
  createdAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    AppMake,
)


def app_make(client: Client, *, input: AppCreateInput) -> AppMake:
    return client.execute(_APP_MAKE, {"input": input})


_APP_CHANGE = Operation[AppChange](
    """
mutation AppChange($id: ID!, $input: AppUpdateInput!) {
  appUpdate(id: $id, input: $input) {
    app {
      ...AppRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment AppRow on App {
  id
  slug
  displayName
  containerPort
  gitRemoteUrl
  createdAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    AppChange,
)


def app_change(client: Client, *, id: str, input: AppUpdateInput) -> AppChange:
    return client.execute(_APP_CHANGE, {"id": id, "input": input})


_APP_REMOVE = Operation[AppRemove](
    """
mutation AppRemove($id: ID!, $confirm: String!) {
  appDelete(id: $id, confirm: $confirm) {
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
    AppRemove,
)


def app_remove(client: Client, *, id: str, confirm: str) -> AppRemove:
    return client.execute(_APP_REMOVE, {"id": id, "confirm": confirm})
