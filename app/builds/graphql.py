"""Builds: a commit made runnable, once, and shared by every environment that deploys it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from app import models
from app.apps.graphql import App
from app.graphql.connection import Connection, Listing
from app.graphql.fields import column, one, page, part
from app.graphql.node import FromRow, Node, shows
from app.graphql.scalars import Long

LOG = Listing(
    row=models.BuildLogLine,
    parent=models.BuildLogLine.build_id,
    key=models.BuildLogLine.number,
    maximum=1000,
)


@shows(models.BuildLogLine)
@strawberry.type(name="BuildLogLine")
class LogLine(FromRow):
    message: str = column("text")
    timestamp: datetime = column("created_at")


@strawberry.type
class BuildFailure:
    code: models.FailureCode
    message: str = column("message", or_else="")
    hint: str | None = strawberry.field(description="What to do next.")


@shows(models.Build)
@strawberry.type(description="A commit made runnable: an image, or a slug.")
class Build(Node):
    commit_sha: str
    attempt: int
    status: models.BuildStatus
    kind: models.BuildKind | None
    artifact: str | None = strawberry.field(
        description="An image by digest, or a slug's SHA-256; null until it has succeeded."
    )
    artifact_bytes: Long | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    app_id: strawberry.Private[str]
    failure_code: strawberry.Private[models.FailureCode | None]
    failure_message: strawberry.Private[str | None]
    failure_hint: strawberry.Private[str | None]

    app: App = one(models.App, id="app_id")

    failure: BuildFailure | None = part(BuildFailure, "failure_", when="failure_code")

    log: Connection[LogLine] = page(
        LOG, description="From the first line on; `last: 50` is its end."
    )
