"""Made from operations/shared.graphql by `make cli-client`; not to be edited."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Page(Struct, frozen=True, kw_only=True, rename="camel"):
    has_next_page: bool
    end_cursor: str | None


class Refusal(Struct, frozen=True, kw_only=True, rename="camel"):
    code: str
    message: str
    field: list[str] | None
    hint: str | None


class DeploymentRowCreator(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str


class DeploymentRow(Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    number: int
    status: str
    trigger: str
    ref: str | None
    commit_sha: str | None
    commit_message: str | None
    created_at: datetime
    finished_at: datetime | None
    creator: DeploymentRowCreator | None
