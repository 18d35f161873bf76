"""Every look-up by id or by slugs: one joined query, which already knows who is asking.

What does not exist, what another organization holds, and what cannot even be a name are answered with
the same NotFound, so that nobody learns of an object by the way it is refused. Environments and apps
that are being torn down are not found; a soft-deleted project is (its ``deleted_at`` says so), since it
can be restored.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.scope import Scope
from app.access.visible import visible_to
from app.errors import InvalidInput, NotFound, PreconditionFailed
from app.ids import prefix_of
from app.models import (
    App,
    Base,
    Deployment,
    Environment,
    Instance,
    Organization,
    Project,
)
from app.names import is_id, is_slug

Found = TypeVar("Found", bound=Base)


@dataclass(frozen=True)
class Place:
    """Where an object stands: itself and everything above it."""

    organization: Organization
    project: Project
    environment: Environment | None = None
    app: App | None = None
    instance: Instance | None = None

    @property
    def path(self) -> str:
        """``acme/storefront/web/production``, as far as it goes."""
        parts = (self.organization, self.project, self.app, self.environment)
        return "/".join(part.slug for part in parts if part is not None)

    @property
    def scope(self) -> Scope:
        return Scope(
            self.organization.id,
            self.project.id,
            None if self.environment is None else self.environment.id,
            None if self.app is None else self.app.id,
        )

    def require_live(self) -> None:
        """Raises PreconditionFailed in a deleted project: nothing in it changes until it is restored."""
        require_live(self.project)


def scope_of(noun: Organization | Project) -> Scope:
    """Of what knows its organization by itself; of anything else: ``place_of`` and its ``scope``."""
    if isinstance(noun, Organization):
        return Scope(noun.id)
    return Scope(noun.organization_id, noun.id)


def require_live(project: Project) -> None:
    if project.deleted_at is not None:
        raise PreconditionFailed(
            f"The project {project.slug} is deleted: it takes no pushes, deploys or changes.",
            hint="Restore it first.",
        )


_PROJECTS = select(Project).join(Organization, Project.organization_id == Organization.id)
_APPS = (
    select(App)
    .join(Project, App.project_id == Project.id)
    .join(Organization, Project.organization_id == Organization.id)
    .where(App.deleted_at.is_(None))
)


async def organization(
    session: AsyncSession, actor: Actor, *, id: str | None = None, slug: str | None = None
) -> Organization:
    statement = select(Organization)
    slugs = None if slug is None else (slug,)
    return await _one(session, actor, statement, Organization, id, slugs, (Organization,))


async def project(
    session: AsyncSession,
    actor: Actor,
    *,
    id: str | None = None,
    slugs: Sequence[str] | None = None,
) -> Project:
    """``slugs``: organization, project."""
    return await _one(session, actor, _PROJECTS, Project, id, slugs, (Organization, Project))


async def environment(
    session: AsyncSession,
    actor: Actor,
    *,
    id: str | None = None,
    slugs: Sequence[str] | None = None,
) -> Environment:
    """``slugs``: organization, project, environment."""
    statement = (
        select(Environment)
        .join(Project, Environment.project_id == Project.id)
        .join(Organization, Project.organization_id == Organization.id)
        .where(Environment.deleted_at.is_(None))
    )
    nouns = (Organization, Project, Environment)
    return await _one(session, actor, statement, Environment, id, slugs, nouns)


async def app(
    session: AsyncSession,
    actor: Actor,
    *,
    id: str | None = None,
    slugs: Sequence[str] | None = None,
) -> App:
    """``slugs``: organization, project, app."""
    return await _one(session, actor, _APPS, App, id, slugs, (Organization, Project, App))


async def instance(
    session: AsyncSession,
    actor: Actor,
    *,
    id: str | None = None,
    slugs: Sequence[str] | None = None,
) -> Instance:
    """``slugs``: organization, project, app, environment."""
    statement = _through_instance(select(Instance))
    nouns = (Organization, Project, App, Environment)
    return await _one(session, actor, statement, Instance, id, slugs, nouns)


async def deployment(
    session: AsyncSession,
    actor: Actor,
    *,
    id: str | None = None,
    slugs: Sequence[str] | None = None,
    number: int | None = None,
) -> Deployment:
    """``slugs``: organization, project, app, environment; with the deployment's ``number`` there."""
    selected = select(Deployment).join(Instance, Deployment.instance_id == Instance.id)
    statement = _through_instance(selected)
    if slugs is not None:
        if number is None or not 0 < number < 2**31:
            raise _not_found(Deployment)
        statement = statement.where(Deployment.number == number)
    nouns = (Organization, Project, App, Environment)
    return await _one(session, actor, statement, Deployment, id, slugs, nouns)


def named(actor: Actor, slugs: Sequence[ColumnElement[str]]) -> Select[Any]:
    """What a path of one to four slugs names, if the actor may know of it: an organization, a project, an app
    or an instance."""
    statement: Select[Any]
    nouns: list[Any]
    match len(slugs):
        case 1:
            statement, nouns = select(Organization), [Organization]
        case 2:
            statement, nouns = _PROJECTS, [Organization, Project]
        case 3:
            statement, nouns = _APPS, [Organization, Project, App]
        case _:
            statement = _through_instance(select(Instance))
            nouns = [Organization, Project, App, Environment]
    matches = [model.slug == slug for model, slug in zip(nouns, slugs, strict=True)]
    return visible_to(actor, statement.where(*matches), *nouns)


async def resource(session: AsyncSession, actor: Actor, id: str) -> Place | Organization:
    """Whatever has apps in it, by its id: what a token can be made for. Raises NotFound."""
    match prefix_of(id):
        case "org":
            return await organization(session, actor, id=id)
        case "prj":
            return await place_of(session, await project(session, actor, id=id))
        case "env":
            return await place_of(session, await environment(session, actor, id=id))
        case "app":
            return await place_of(session, await app(session, actor, id=id))
        case _:
            return await place_of(session, await instance(session, actor, id=id))


async def place_by_slugs(
    session: AsyncSession,
    actor: Actor,
    organization_slug: str | None,
    project_slug: str | None = None,
    environment_slug: str | None = None,
    app_slug: str | None = None,
) -> Place | Organization | None:
    """The place that these spell; None without any. Raises NotFound, InvalidInput where one in between is missing."""
    below = environment_slug or app_slug
    if (project_slug and not organization_slug) or (below and not project_slug):
        raise InvalidInput(
            "A place is named from the top.",
            field="project" if organization_slug else "organization",
            hint="Name the organization and the project too.",
        )
    if organization_slug is None:
        return None
    if project_slug is None:
        return await organization(session, actor, slug=organization_slug)
    above = (organization_slug, project_slug)
    found: Project | Environment | App | Instance
    if app_slug and environment_slug:
        found = await instance(session, actor, slugs=(*above, app_slug, environment_slug))
    elif app_slug:
        found = await app(session, actor, slugs=(*above, app_slug))
    elif environment_slug:
        found = await environment(session, actor, slugs=(*above, environment_slug))
    else:
        found = await project(session, actor, slugs=above)
    return await place_of(session, found)


async def app_place(session: AsyncSession, actor: Actor, slugs: Sequence[str]) -> Place:
    """``app`` and its ``place_of`` in one query: what every git request begins with."""
    if not all(map(is_slug, slugs)):
        raise _not_found(App)
    organization_slug, project_slug, app_slug = slugs
    statement = (
        select(App, Project, Organization)
        .join(Project, App.project_id == Project.id)
        .join(Organization, Project.organization_id == Organization.id)
        .where(
            App.deleted_at.is_(None),
            Organization.slug == organization_slug,
            Project.slug == project_slug,
            App.slug == app_slug,
        )
    )
    joined = (App, Project, Organization)
    row = (await session.execute(visible_to(actor, statement, *joined))).one_or_none()
    if row is None:
        raise _not_found(App)
    return Place(app=row[0], project=row[1], organization=row[2])


async def place_of(session: AsyncSession, noun: Project | Environment | App | Instance) -> Place:
    """Everything above ``noun``, in one query and without asking who wants to know."""
    if isinstance(noun, Project):
        above = await session.get(Organization, noun.organization_id)
        if above is None:
            raise _not_found(Organization)
        return Place(organization=above, project=noun)
    if isinstance(noun, Instance):
        return await _place_of_instance(session, noun)
    statement = (
        select(Project, Organization)
        .join(Organization, Project.organization_id == Organization.id)
        .where(Project.id == noun.project_id)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise _not_found(Project)
    if isinstance(noun, App):
        return Place(organization=row[1], project=row[0], app=noun)
    return Place(organization=row[1], project=row[0], environment=noun)


async def places_of_instances(session: AsyncSession, ids: Collection[str]) -> Sequence[Place]:
    """``place_of`` each of these, in one query; those that are gone are left out."""
    statement = (
        select(Organization, Project, Environment, App, Instance)
        .join(Project, Project.organization_id == Organization.id)
        .join(App, App.project_id == Project.id)
        .join(Instance, Instance.app_id == App.id)
        .join(Environment, Environment.id == Instance.environment_id)
        .where(Instance.id.in_(ids))
    )
    return [Place(*row) for row in await session.execute(statement)]


async def _place_of_instance(session: AsyncSession, noun: Instance) -> Place:
    statement = (
        select(Organization, Project, Environment, App)
        .join(Project, Project.organization_id == Organization.id)
        .join(App, App.project_id == Project.id)
        .join(Environment, Environment.id == noun.environment_id)
        .where(App.id == noun.app_id)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise _not_found(Instance)
    return Place(organization=row[0], project=row[1], environment=row[2], app=row[3], instance=noun)


def _through_instance(statement: Select[Found]) -> Select[Found]:
    return (
        statement.join(App, Instance.app_id == App.id)
        .join(Environment, Instance.environment_id == Environment.id)
        .join(Project, App.project_id == Project.id)
        .join(Organization, Project.organization_id == Organization.id)
        .where(App.deleted_at.is_(None), Environment.deleted_at.is_(None))
    )


async def _one(
    session: AsyncSession,
    actor: Actor,
    statement: Select[Found],
    noun: type[Found],
    id: str | None,
    slugs: Sequence[str] | None,
    nouns: Sequence[Any],
) -> Found:
    """``nouns`` are the models whose slugs are given, in the order of ``slugs``."""
    if id is not None:
        if not is_id(id):
            raise _not_found(noun)
        statement = statement.where(noun.__table__.c.id == id)
    else:
        if slugs is None or len(slugs) != len(nouns) or not all(map(is_slug, slugs)):
            raise _not_found(noun)
        for model, slug in zip(nouns, slugs, strict=True):
            statement = statement.where(model.slug == slug)
    found = (await session.execute(visible_to(actor, statement, *nouns))).scalar_one_or_none()
    if found is None:
        raise _not_found(noun)
    return found


def _not_found(noun: type[Base]) -> NotFound:
    return NotFound(
        f"There is no such {noun.__tablename__}.",
        hint="Check the spelling, and that your token belongs to a member of the organization.",
    )
