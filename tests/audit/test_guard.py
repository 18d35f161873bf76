"""The audit log: nothing changes for somebody without an entry, and no entry changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from app.access.actor import OPERATOR, Actor
from app.access.permissions import Permission, require
from app.access.scope import Scope
from app.audit.actions import Action
from app.audit.guard import NotAudited
from app.audit.log import record
from app.db import Database, WriteSession
from app.ids import new_id
from app.models import AuditEntry, Organization

OLGA = Actor(user_id=None, name="olga", is_admin=True, address="192.0.2.7", request_id="req_1")


def _organization(slug: str = "acme") -> Organization:
    return Organization(id=new_id("org"), slug=slug, display_name=slug)


async def _make(database: Database) -> Organization:
    async with database.write_transaction() as session:
        organization = _organization()
        session.add(organization)
    return organization


async def _change_by_row(session: WriteSession, organization: Organization) -> None:
    row = await session.get(Organization, organization.id)
    assert row is not None
    row.display_name = "Changed"


async def _change_by_statement(session: WriteSession, organization: Organization) -> None:
    await session.execute(update(Organization).values(display_name="Changed"))


async def _add(session: WriteSession, organization: Organization) -> None:
    session.add(_organization("other"))


async def _insert(session: WriteSession, organization: Organization) -> None:
    values = {"id": new_id("org"), "slug": "other", "display_name": "Other"}
    await session.execute(insert(Organization).values(values))


async def _delete(session: WriteSession, organization: Organization) -> None:
    await session.delete(await session.get(Organization, organization.id))


async def _delete_by_statement(session: WriteSession, organization: Organization) -> None:
    await session.execute(delete(Organization))


Change = Callable[[WriteSession, Organization], Awaitable[None]]
CHANGES: tuple[Change, ...] = (
    _change_by_row,
    _change_by_statement,
    _add,
    _insert,
    _delete,
    _delete_by_statement,
)


async def _unaudited(database: Database, organization: Organization, change: Change) -> None:
    async with database.write_transaction() as session:
        session.act_for(OLGA)
        await change(session, organization)


async def _asked(database: Database, organization: Organization) -> None:
    async with database.write_transaction() as session:
        await require(session, OPERATOR, Scope(organization.id), Permission.ORGANIZATION_WRITE)
        await _change_by_row(session, organization)


async def test_a_change_for_an_actor_without_an_entry_is_not_committed(database: Database) -> None:
    organization = await _make(database)
    for change in CHANGES:
        with pytest.raises(NotAudited, match=r"organization changed for olga"):
            await _unaudited(database, organization, change)
    async with database.read_session() as reading:
        rows = (await reading.scalars(select(Organization))).all()
        assert [(row.slug, row.display_name) for row in rows] == [("acme", "acme")]


async def test_a_question_of_permission_makes_it_a_change_for_an_actor(database: Database) -> None:
    organization = await _make(database)
    with pytest.raises(NotAudited):
        await _asked(database, organization)


async def test_with_an_entry_it_is_committed_and_the_entry_says_who_what_and_where(
    database: Database,
) -> None:
    organization = await _make(database)
    async with database.write_transaction() as session:
        await _change_by_row(session, organization)
        await record(session, OLGA, Action.ORGANIZATION_UPDATE, organization, "Renamed it.")
    async with database.read_session() as reading:
        (entry,) = (await reading.scalars(select(AuditEntry))).all()
    assert (entry.user_name, entry.address, entry.request_id) == ("olga", "192.0.2.7", "req_1")
    assert (entry.action, entry.path, entry.subject_id) == (
        "organization.update",
        "acme",
        organization.id,
    )


async def test_the_platforms_own_work_and_transactions_that_change_nothing_owe_none(
    database: Database,
) -> None:
    organization = await _make(database)
    async with database.write_transaction() as session:
        await _change_by_row(session, organization)
    async with database.write_transaction() as session:
        session.act_for(OLGA)
        row = await session.get(Organization, organization.id)
        assert row is not None
        row.display_name = row.display_name
        await session.execute(select(Organization).with_for_update())


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_entry SET summary = ''", "DELETE FROM audit_entry", "TRUNCATE audit_entry"],
)
async def test_the_database_refuses_to_change_an_entry(database: Database, statement: str) -> None:
    async with database.write_transaction() as session:
        await record(session, OLGA, Action.USER_CREATE, None, "Created a user.")
    with pytest.raises(DBAPIError, match="audit_entry is only added to"):
        async with database.write_transaction() as session:
            await session.execute(text(statement))


async def test_an_entry_of_a_read_is_kept_before_what_was_read_is_shown(database: Database) -> None:
    async with database.read_session() as session:
        await record(session, OLGA, Action.ENV_VARS_READ, None, "Read a value.")
        async with database.read_session() as other:
            assert len((await other.scalars(select(AuditEntry))).all()) == 1
