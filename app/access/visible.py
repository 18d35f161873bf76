"""Which rows an actor may know of, as conditions of SQL: every SELECT that answers somebody has them.

An actor knows of its organizations with all that is in them, of the projects that it has a role in, and
of their organizations' names. A token's scope takes away from that: what cannot meet it is not there.

Two ways to ask, one rule: ``visible_to`` for a statement that joins a row to everything above it;
``narrowing`` for a row that is reached from one that the actor already sees.
"""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, false, or_, select
from sqlalchemy.orm import aliased

from app.access.actor import Actor
from app.models import (
    ApiToken,
    App,
    Base,
    Deployment,
    Environment,
    Instance,
    Membership,
    Organization,
    Project,
    ProjectMembership,
    Release,
)

Statement = TypeVar("Statement", bound="Select[*tuple[Any, ...]]")
Condition = ColumnElement[bool]


def visible_to(actor: Actor, statement: Statement, *joined: type[Base]) -> Statement:
    """Only rows that the actor may know of. ``joined``: the models in the statement, up to Organization."""
    conditions: list[Condition] = []
    if not actor.has_every_role:
        conditions.append(_project(actor) if Project in joined else _organization(actor))
    scope = None if actor.grant is None else actor.grant.scope
    if scope is not None:
        for model, id in (
            (Organization, scope.organization_id),
            (Project, scope.project_id),
            (Environment, scope.environment_id),
            (App, scope.app_id),
        ):
            if id is not None and model in joined:
                conditions.append(model.__table__.c.id == id)
    return statement.where(*conditions)


def narrowing(actor: Actor, row: type[Base]) -> list[Condition]:
    """For rows of ``row`` that are reached from one that the actor sees; most often there is none."""
    conditions: list[Condition] = []
    if row is Organization and not actor.has_every_role:
        conditions.append(_organization(actor))
    if row is Project and not actor.has_every_role:
        conditions.append(_project(actor))
    if row is Membership and not actor.has_every_role:
        conditions.append(Membership.organization_id.in_(_organizations(actor)))
    scope = None if actor.grant is None else actor.grant.scope
    if scope is None:
        return conditions
    if row is Organization:
        conditions.append(Organization.id == scope.organization_id)
    if row is Project and scope.project_id is not None:
        conditions.append(Project.id == scope.project_id)
    if row is Membership and scope.project_id is not None:
        conditions.append(false())
    if row is ProjectMembership and (scope.environment_id or scope.app_id):
        conditions.append(false())
    if row is ApiToken:
        conditions.append(ApiToken.id == actor.token_id)
    return conditions + _in_scope(row, scope.environment_id, scope.app_id)


def _in_scope(row: type[Base], environment_id: str | None, app_id: str | None) -> list[Condition]:
    """What of the four that stand below a project meets the scope."""
    if row is Environment and environment_id is not None:
        return [Environment.id == environment_id]
    if row is App and app_id is not None:
        return [App.id == app_id]
    if row is Instance:
        return _pairs(Instance, environment_id, app_id)
    if row in (Deployment, Release) and (environment_id or app_id):
        inside = select(_Inside.id).where(*_pairs(_Inside, environment_id, app_id))
        return [row.__table__.c.instance_id.in_(inside)]
    return []


def _pairs(
    instance: type[Instance], environment_id: str | None, app_id: str | None
) -> list[Condition]:
    by_environment = [instance.environment_id == environment_id] if environment_id else []
    return by_environment + ([instance.app_id == app_id] if app_id else [])


_Inside = aliased(Instance)
_Member = aliased(Membership)
_ProjectMember = aliased(ProjectMembership)
_Above = aliased(Project)


def _organizations(actor: Actor) -> Select[str]:
    return select(_Member.organization_id).where(_Member.user_id == actor.user_id)


def _project(actor: Actor) -> Condition:
    own = select(_ProjectMember.project_id).where(_ProjectMember.user_id == actor.user_id)
    return or_(Project.organization_id.in_(_organizations(actor)), Project.id.in_(own))


def _organization(actor: Actor) -> Condition:
    of_projects = (
        select(_Above.organization_id)
        .join(_ProjectMember, _ProjectMember.project_id == _Above.id)
        .where(_ProjectMember.user_id == actor.user_id)
    )
    return or_(Organization.id.in_(_organizations(actor)), Organization.id.in_(of_projects))
