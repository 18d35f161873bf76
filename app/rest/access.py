"""Roles in projects, environments that are kept for some roles, and the audit log."""

from __future__ import annotations

from datetime import datetime

from app.access import find, project_members, users
from app.audit import queries as audit
from app.audit.actions import Action
from app.audit.queries import MAXIMUM_PAGE, AuditFilter
from app.environments import service as environments
from app.errors import InvalidInput
from app.models import AuditEntry, ProjectMembership, Role, User
from app.rest.endpoint import Answer, Given, Nothing, ReadCall, WriteCall, read, write
from app.rest.environments import EnvironmentAnswer


class ProjectMemberAnswer(Answer, frozen=True):
    user: str
    role: Role
    created_at: datetime

    @classmethod
    def of(cls, row: ProjectMembership, user: User) -> ProjectMemberAnswer:
        return cls(user=user.name, role=row.role, created_at=row.created_at)


class ProjectMemberList(Answer, frozen=True):
    members: list[ProjectMemberAnswer]


class ProjectMemberSet(Given, frozen=True):
    role: Role


class Protection(Given, frozen=True):
    roles: list[Role]
    """Owners are always among them."""


class AuditAnswer(Answer, frozen=True):
    id: str
    action: str
    summary: str
    user_id: str | None
    user_name: str
    token_id: str | None
    address: str | None
    request_id: str | None
    subject_id: str | None
    path: str
    created_at: datetime

    @classmethod
    def of(cls, row: AuditEntry) -> AuditAnswer:
        return cls(
            id=row.id,
            action=row.action,
            summary=row.summary,
            user_id=row.user_id,
            user_name=row.user_name,
            token_id=row.token_id,
            address=row.address,
            request_id=row.request_id,
            subject_id=row.subject_id,
            path=row.path,
            created_at=row.created_at,
        )


class AuditLog(Answer, frozen=True):
    entries: list[AuditAnswer]
    """Newest first. The next page has the last one's id as ``before``."""


class AuditQuery(Given, frozen=True):
    action: Action | None = None
    user: str | None = None
    path: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: str | None = None
    limit: int = MAXIMUM_PAGE


async def list_project_members(call: ReadCall[Nothing]) -> ProjectMemberList:
    """Who has a role of their own in the project."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    rows = await project_members.list_of(call.session, call.actor, project)
    return ProjectMemberList(members=[ProjectMemberAnswer.of(row, user) for row, user in rows])


async def set_project_member(call: WriteCall[ProjectMemberSet]) -> ProjectMemberAnswer:
    """Give a user a role in this project alone, or change it."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    user = await users.by_name(call.session, call.path["user"])
    role = call.input.role
    row = await project_members.set_role(call.session, call.actor, project, user, role)
    return ProjectMemberAnswer.of(row, user)


async def remove_project_member(call: WriteCall[Nothing]) -> None:
    """Take a user's role in this project, or give up yours."""
    project = await find.project(call.session, call.actor, slugs=call.slugs())
    user = await users.by_name(call.session, call.path["user"])
    await project_members.remove(call.session, call.actor, project, user)


async def protect_environment(call: WriteCall[Protection]) -> EnvironmentAnswer:
    """Keep an environment for some roles: only these deploy there and see its variables."""
    row = await find.environment(call.session, call.actor, slugs=call.slugs("env"))
    row = await environments.protect(call.session, call.actor, row, call.input.roles)
    return EnvironmentAnswer.of(row)


async def unprotect_environment(call: WriteCall[Nothing]) -> None:
    """Let any role deploy there that may elsewhere."""
    row = await find.environment(call.session, call.actor, slugs=call.slugs("env"))
    await environments.protect(call.session, call.actor, row, None)


async def list_audit_log(call: ReadCall[AuditQuery]) -> AuditLog:
    """Who did what in the organization, newest first."""
    given = call.input
    if not 0 < given.limit <= MAXIMUM_PAGE:
        raise InvalidInput(f"`limit` is 1 to {MAXIMUM_PAGE}.", field="limit")
    if any("\0" in text for text in (given.user, given.path, given.before) if text):
        raise InvalidInput("A filter holds a NUL character.")
    organization = await find.organization(call.session, call.actor, slug=call.path["org"])
    wanted = AuditFilter(
        actions=None if given.action is None else frozenset({given.action}),
        user=given.user,
        path=given.path,
        since=given.since,
        until=given.until,
    )
    rows = await audit.list_of(
        call.session, call.actor, organization, wanted, before=given.before, limit=given.limit
    )
    return AuditLog(entries=[AuditAnswer.of(row) for row in rows])


_PROJECT = "/api/orgs/{org}/projects/{project}"

ENDPOINTS = (
    read(_PROJECT + "/members/", list_project_members, ProjectMemberList),
    write(
        "PUT",
        _PROJECT + "/members/{user}",
        set_project_member,
        ProjectMemberAnswer,
        ProjectMemberSet,
    ),
    write("DELETE", _PROJECT + "/members/{user}", remove_project_member, None),
    write(
        "PUT",
        _PROJECT + "/envs/{env}/protection",
        protect_environment,
        EnvironmentAnswer,
        Protection,
    ),
    write("DELETE", _PROJECT + "/envs/{env}/protection", unprotect_environment, None),
    read("/api/orgs/{org}/audit-log/", list_audit_log, AuditLog, AuditQuery),
)
