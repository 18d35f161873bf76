"""The instances of new pairs: each app stands in each environment, whichever came second."""

from __future__ import annotations

from collections.abc import Sequence

from app.db import WriteSession, flush_or
from app.errors import Taken
from app.ids import new_id
from app.models import App, Environment, Instance, Organization, Project
from app.names import hostname


async def create_pairs(
    session: WriteSession,
    organization: Organization,
    project: Project,
    pairs: Sequence[tuple[App, Environment]],
    *,
    wildcard_base: str,
) -> Sequence[Instance]:
    """Raises InvalidInput for a hostname that DNS cannot carry, Taken for one another instance holds.

    Rows go in by hostname, so that two transactions that want each other's names cannot deadlock.
    """
    instances = sorted(
        (
            Instance(
                id=new_id("ins"),
                app_id=app.id,
                environment_id=environment.id,
                hostname=hostname(
                    organization.slug, project.slug, app.slug, environment.slug, wildcard_base
                ),
            )
            for app, environment in pairs
        ),
        key=lambda instance: instance.hostname,
    )
    session.add_all(instances)
    names = ", ".join(instance.hostname for instance in instances)
    taken = Taken(
        f"Another app already has a hostname of these: {names}.",
        field="slug",
        hint="Different slugs can spell one name (a-b + c, a + b-c): choose another slug.",
    )
    await flush_or(session, {"uq_instance_hostname": taken})
    return instances
