"""Made from operations/organizations.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.cli.client.shared import Page, Refusal
from app.cli.client.transport import Client, Operation


class OrganizationRow(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    slug: str
    display_name: str
    viewer_role: str | None
    created_at: datetime


class OrganizationList(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[OrganizationRow]
    page_info: Page


class OrganizationMake(Struct, frozen=True, kw_only=True, rename="camel"):
    organization: OrganizationRow | None
    user_errors: list[Refusal]


class OrganizationCreateInput(
    Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True
):
    display_name: str | None = None
    slug: str


class OrganizationRename(Struct, frozen=True, kw_only=True, rename="camel"):
    organization: OrganizationRow | None
    user_errors: list[Refusal]


class OrganizationUpdateInput(
    Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True
):
    display_name: str | None = None


class OrganizationRemove(Struct, frozen=True, kw_only=True, rename="camel"):
    user_errors: list[Refusal]


class MemberRowUser(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    name: str


class MemberRow(Struct, frozen=True, kw_only=True, rename="camel"):
    role: str
    created_at: datetime
    user: MemberRowUser


class MemberListMembers(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[MemberRow]
    page_info: Page


class MemberList(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    members: MemberListMembers


class MemberPut(Struct, frozen=True, kw_only=True, rename="camel"):
    membership: MemberRow | None
    user_errors: list[Refusal]


Role = Literal["ADMIN", "DEVELOPER", "OWNER", "VIEWER"]


class MemberSetInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    organization_id: str
    role: Role
    user: str


class MemberDrop(Struct, frozen=True, kw_only=True, rename="camel"):
    user_errors: list[Refusal]


class MemberInviteInvitation(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    email: str
    role: str
    expires_at: datetime


class MemberInvite(Struct, frozen=True, kw_only=True, rename="camel"):
    invitation: MemberInviteInvitation | None
    link: str | None
    sent: bool | None
    user_errors: list[Refusal]


class MemberInviteInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    email: str
    organization_id: str
    project_id: str | None = None
    role: Role


_ORGANIZATION_LIST = Operation[OrganizationList](
    """
query OrganizationList($after: String) {
  organizations(first: 100, after: $after) {
    nodes {
      ...OrganizationRow
    }
    pageInfo {
      ...Page
    }
  }
}

fragment OrganizationRow on Organization {
  id
  slug
  displayName
  viewerRole
  createdAt
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    OrganizationList,
)


def organization_list(client: Client, *, after: str | None = None) -> OrganizationList:
    return client.execute(_ORGANIZATION_LIST, {"after": after})


_ORGANIZATION_SHOW = Operation[OrganizationRow | None](
    """
query OrganizationShow($organization: String!) {
  organization(slug: $organization) {
    ...OrganizationRow
  }
}

fragment OrganizationRow on Organization {
  id
  slug
  displayName
  viewerRole
  createdAt
}
""",
    OrganizationRow | None,
)


def organization_show(client: Client, *, organization: str) -> OrganizationRow | None:
    return client.execute(_ORGANIZATION_SHOW, {"organization": organization})


_ORGANIZATION_MAKE = Operation[OrganizationMake](
    """
mutation OrganizationMake($input: OrganizationCreateInput!) {
  organizationCreate(input: $input) {
    organization {
      ...OrganizationRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment OrganizationRow on Organization {
  id
  slug
  displayName
  viewerRole
  createdAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    OrganizationMake,
)


def organization_make(client: Client, *, input: OrganizationCreateInput) -> OrganizationMake:
    return client.execute(_ORGANIZATION_MAKE, {"input": input})


_ORGANIZATION_RENAME = Operation[OrganizationRename](
    """
mutation OrganizationRename($id: ID!, $input: OrganizationUpdateInput!) {
  organizationUpdate(id: $id, input: $input) {
    organization {
      ...OrganizationRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment OrganizationRow on Organization {
  id
  slug
  displayName
  viewerRole
  createdAt
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    OrganizationRename,
)


def organization_rename(
    client: Client, *, id: str, input: OrganizationUpdateInput
) -> OrganizationRename:
    return client.execute(_ORGANIZATION_RENAME, {"id": id, "input": input})


_ORGANIZATION_REMOVE = Operation[OrganizationRemove](
    """
mutation OrganizationRemove($id: ID!, $confirm: String!) {
  organizationDelete(id: $id, confirm: $confirm) {
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
    OrganizationRemove,
)


def organization_remove(client: Client, *, id: str, confirm: str) -> OrganizationRemove:
    return client.execute(_ORGANIZATION_REMOVE, {"id": id, "confirm": confirm})


_MEMBER_LIST = Operation[MemberList | None](
    """
query MemberList($organization: String!, $after: String) {
  organization(slug: $organization) {
    id
    members(first: 100, after: $after) {
      nodes {
        ...MemberRow
      }
      pageInfo {
        ...Page
      }
    }
  }
}

fragment MemberRow on Membership {
  role
  createdAt
  user {
    id
    name
  }
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    MemberList | None,
)


def member_list(
    client: Client, *, organization: str, after: str | None = None
) -> MemberList | None:
    return client.execute(_MEMBER_LIST, {"organization": organization, "after": after})


_MEMBER_PUT = Operation[MemberPut](
    """
mutation MemberPut($input: MemberSetInput!) {
  memberSet(input: $input) {
    membership {
      ...MemberRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment MemberRow on Membership {
  role
  createdAt
  user {
    id
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
    MemberPut,
)


def member_put(client: Client, *, input: MemberSetInput) -> MemberPut:
    return client.execute(_MEMBER_PUT, {"input": input})


_MEMBER_DROP = Operation[MemberDrop](
    """
mutation MemberDrop($organizationId: ID!, $user: String!) {
  memberRemove(organizationId: $organizationId, user: $user) {
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
    MemberDrop,
)


def member_drop(client: Client, *, organization_id: str, user: str) -> MemberDrop:
    return client.execute(_MEMBER_DROP, {"organizationId": organization_id, "user": user})


_MEMBER_INVITE = Operation[MemberInvite](
    """
mutation MemberInvite($input: MemberInviteInput!) {
  memberInvite(input: $input) {
    invitation {
      id
      email
      role
      expiresAt
    }
    link
    sent
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
    MemberInvite,
)


def member_invite(client: Client, *, input: MemberInviteInput) -> MemberInvite:
    return client.execute(_MEMBER_INVITE, {"input": input})
