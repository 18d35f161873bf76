"""What an organization holds, and may hold."""

from __future__ import annotations

import dataclasses
from typing import Any

import strawberry

from app.access import find
from app.access.actor import Actor
from app.db import WriteSession
from app.graphql.context import Info
from app.graphql.mutation import MutationPayload, mutate
from app.graphql.scalars import Long
from app.quotas import queries, service
from app.quotas.plan import Limits, Usage


@strawberry.type(description="One limit and how much of it is in use.")
class QuotaItem:
    limit: Long | None = strawberry.field(description="Null: as much as there is.")
    used: Long


@strawberry.type(
    description="What the organization's live projects ask for, deployed yet or not, and what they may."
)
class Quota:
    apps: QuotaItem
    replicas: QuotaItem
    cpu_millis: QuotaItem
    memory_mb: QuotaItem
    concurrent_builds: QuotaItem = strawberry.field(
        description="More wait until one of these has ended."
    )


async def quota_of(info: Info, organization_id: str) -> Quota:
    found = await info.context.loaders.read(queries.standing, organization_id)
    return _shown(found.limits, found.usage, found.building)


def _shown(limits: Limits, usage: Usage, building: int) -> Quota:
    used = {**dataclasses.asdict(usage), "concurrent_builds": building}
    return Quota(**{name: QuotaItem(limit=getattr(limits, name), used=used[name]) for name in used})


@strawberry.input(
    description="Only what is given changes; null lifts the limit, and the platform's default holds again."
)
class QuotaSetInput:
    organization_id: strawberry.ID | None = strawberry.field(
        default=None, description="Without it: the default of all that have no limit of their own."
    )
    apps: int | None = strawberry.UNSET
    replicas: int | None = strawberry.UNSET
    cpu_millis: int | None = strawberry.UNSET
    memory_mb: int | None = strawberry.UNSET
    concurrent_builds: int | None = strawberry.UNSET

    def given(self) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(Limits)]
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not strawberry.UNSET}


@strawberry.type(description="Limits as they are set; null: none here.")
class QuotaLimits:
    apps: int | None
    replicas: int | None
    cpu_millis: Long | None
    memory_mb: Long | None
    concurrent_builds: int | None


@strawberry.type
class QuotaPayload(MutationPayload):
    limits: QuotaLimits | None = None


@strawberry.type
class QuotaMutations:
    @strawberry.mutation(description="For operators of the platform only.")
    async def quota_set(self, info: Info, input: QuotaSetInput) -> QuotaPayload:
        async def work(session: WriteSession, actor: Actor) -> QuotaPayload:
            organization = (
                None
                if input.organization_id is None
                else await find.organization(session, actor, id=input.organization_id)
            )
            limits = await service.set_limits(session, actor, organization, input.given())
            return QuotaPayload(limits=QuotaLimits(**dataclasses.asdict(limits)))

        return await mutate(info, QuotaPayload, work)
