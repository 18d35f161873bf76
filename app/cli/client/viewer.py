"""Made from operations/viewer.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.cli.client.shared import Page, Refusal
from app.cli.client.transport import Client, Operation


class WhoAmIUser(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    name: str
    is_admin: bool


class TokenRow(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    name: str
    secret_hint: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    permissions: list[str] | None
    reach: str | None


class WhoAmI(Struct, frozen=True, kw_only=True, rename="camel"):
    user: WhoAmIUser | None
    token: TokenRow | None


class TokenListTokens(Struct, frozen=True, kw_only=True, rename="camel"):
    nodes: list[TokenRow]
    page_info: Page


class TokenList(Struct, frozen=True, kw_only=True, rename="camel"):
    tokens: TokenListTokens


class TokenMake(Struct, frozen=True, kw_only=True, rename="camel"):
    secret: str | None
    token: TokenRow | None
    user_errors: list[Refusal]


Permission = Literal[
    "APP_DELETE",
    "APP_WRITE",
    "AUDIT_READ",
    "CODE_PUSH",
    "CODE_READ",
    "DEPLOY",
    "ENVIRONMENT_DELETE",
    "ENVIRONMENT_PROTECT",
    "ENVIRONMENT_WRITE",
    "ENV_VARS_READ",
    "ENV_VARS_WRITE",
    "MEMBERS_WRITE",
    "ORGANIZATION_DELETE",
    "ORGANIZATION_WRITE",
    "PROJECT_DELETE",
    "PROJECT_WRITE",
    "READ",
    "SCALE",
    "WEBHOOKS_WRITE",
]


class TokenCreateInput(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    expires_at: datetime | None = None
    name: str
    permissions: Sequence[Permission] | None = None
    resource_id: str | None = None


class TokenEnd(Struct, frozen=True, kw_only=True, rename="camel"):
    token: TokenRow | None
    user_errors: list[Refusal]


class ResourceFind(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str


_WHO_AM_I = Operation[WhoAmI | None](
    """
query WhoAmI {
  viewer {
    user {
      id
      name
      isAdmin
    }
    token {
      ...TokenRow
    }
  }
}

fragment TokenRow on ApiToken {
  id
  name
  secretHint
  createdAt
  lastUsedAt
  expiresAt
  permissions
  reach
}
""",
    WhoAmI | None,
)


def who_am_i(client: Client) -> WhoAmI | None:
    return client.execute(_WHO_AM_I, {})


_TOKEN_LIST = Operation[TokenList | None](
    """
query TokenList($after: String) {
  viewer {
    tokens(first: 100, after: $after) {
      nodes {
        ...TokenRow
      }
      pageInfo {
        ...Page
      }
    }
  }
}

fragment TokenRow on ApiToken {
  id
  name
  secretHint
  createdAt
  lastUsedAt
  expiresAt
  permissions
  reach
}

fragment Page on PageInfo {
  hasNextPage
  endCursor
}
""",
    TokenList | None,
)


def token_list(client: Client, *, after: str | None = None) -> TokenList | None:
    return client.execute(_TOKEN_LIST, {"after": after})


_TOKEN_MAKE = Operation[TokenMake](
    """
mutation TokenMake($input: TokenCreateInput!) {
  tokenCreate(input: $input) {
    secret
    token {
      ...TokenRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment TokenRow on ApiToken {
  id
  name
  secretHint
  createdAt
  lastUsedAt
  expiresAt
  permissions
  reach
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    TokenMake,
)


def token_make(client: Client, *, input: TokenCreateInput) -> TokenMake:
    return client.execute(_TOKEN_MAKE, {"input": input})


_TOKEN_END = Operation[TokenEnd](
    """
mutation TokenEnd($id: ID!) {
  tokenRevoke(id: $id) {
    token {
      ...TokenRow
    }
    userErrors {
      ...Refusal
    }
  }
}

fragment TokenRow on ApiToken {
  id
  name
  secretHint
  createdAt
  lastUsedAt
  expiresAt
  permissions
  reach
}

fragment Refusal on UserError {
  code
  message
  field
  hint
}
""",
    TokenEnd,
)


def token_end(client: Client, *, id: str) -> TokenEnd:
    return client.execute(_TOKEN_END, {"id": id})


_RESOURCE_FIND = Operation[ResourceFind | None](
    """
query ResourceFind($path: String!) {
  resource(path: $path) {
    id
  }
}
""",
    ResourceFind | None,
)


def resource_find(client: Client, *, path: str) -> ResourceFind | None:
    return client.execute(_RESOURCE_FIND, {"path": path})
