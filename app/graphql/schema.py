"""The whole graph: every noun's part of Query, Mutation and Subscription, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLSchema, lexicographic_sort_schema, print_schema
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from app.access.graphql import AccessMutations
from app.apps.graphql import AppMutations
from app.deployments.graphql import DeploymentMutations, DeploymentQueries
from app.deployments.subscriptions import DeploymentSubscriptions
from app.environments.graphql import EnvironmentMutations, EnvironmentQueries
from app.events.graphql import EventSubscriptions
from app.graphql.documents import CheckedDocuments
from app.graphql.errors import ReportErrors
from app.graphql.limits import UNCLEAN, is_clean
from app.graphql.root import RootQueries
from app.graphql.scalars import CONFIG
from app.instances.graphql import InstanceMutations
from app.instances.subscriptions import InstanceSubscriptions
from app.invitations.graphql import InvitationMutations
from app.live.shared import SharingExecutor
from app.logs.graphql import LogSubscriptions
from app.organizations.graphql import OrganizationMutations, OrganizationQueries
from app.projects.graphql import ProjectMutations
from app.pushes.graphql import PushMutations
from app.quotas.graphql import QuotaMutations
from app.reconcile.graphql import ReconcilerQueries
from app.remotes.graphql import RemoteMutations
from app.sessions.graphql import AccountMutations
from app.tokens.graphql import TokenMutations, ViewerQueries
from app.webhooks.graphql import WebhookMutations


@strawberry.type
class Query(
    ViewerQueries,
    RootQueries,
    OrganizationQueries,
    EnvironmentQueries,
    DeploymentQueries,
    ReconcilerQueries,
):
    pass


@strawberry.type
class Mutation(
    OrganizationMutations,
    ProjectMutations,
    EnvironmentMutations,
    AppMutations,
    InstanceMutations,
    PushMutations,
    DeploymentMutations,
    TokenMutations,
    QuotaMutations,
    WebhookMutations,
    RemoteMutations,
    AccessMutations,
    AccountMutations,
    InvitationMutations,
):
    pass


@strawberry.type
class Subscription(
    DeploymentSubscriptions, InstanceSubscriptions, EventSubscriptions, LogSubscriptions
):
    pass


class CleanVariables(SchemaExtension):
    """``CleanStrings`` for what comes beside the document."""

    def on_validate(self) -> Iterator[None]:
        if not is_clean(self.execution_context.variables):
            refusal = GraphQLError(UNCLEAN, extensions={"code": "INVALID"})
            self.execution_context.pre_execution_errors = [refusal]
        yield


class PaasSchema(strawberry.Schema):
    """Errors are logged by ``ReportErrors``, once and under their request's id."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        return


EXTENSIONS: list[type[SchemaExtension] | Callable[[], SchemaExtension]] = [
    ReportErrors,
    CheckedDocuments,
    CleanVariables,
]

schema = PaasSchema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=CONFIG,
    extensions=EXTENSIONS,
    execution_context_class=SharingExecutor,
)


def core_schema() -> GraphQLSchema:
    """graphql-core's view of it, for printing and comparing."""
    core: Any = schema._schema
    assert isinstance(core, GraphQLSchema)
    return core


def sdl() -> str:
    """The schema as text, in an order that does not depend on the code's. Ends with a newline.

    Sorted here and not by Strawberry's ``sort_schema``, which breaks the results of every enum.
    """
    return print_schema(lexicographic_sort_schema(core_schema())) + "\n"
