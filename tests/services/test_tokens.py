from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.access import users
from app.access.actor import OPERATOR, Actor
from app.db import Database
from app.errors import Forbidden, InvalidInput, NotFound, Taken, Unauthenticated
from app.models import ApiToken, User
from app.tokens import queries, service


async def _user_with_token(
    database: Database, *, expires_at: datetime | None = None
) -> tuple[User, ApiToken, str]:
    async with database.write_transaction() as session:
        user = await users.create(session, OPERATOR, name="ada", is_admin=True)
        token, secret = await service.create(session, user, "laptop", expires_at)
    return user, token, secret


async def _authenticate(database: Database, secret: str) -> Actor:
    async with database.write_transaction() as session:
        return await service.authenticate(session, secret)


async def test_a_secret_says_who_asks_and_is_not_stored(database: Database) -> None:
    user, token, secret = await _user_with_token(database)
    actor = await _authenticate(database, secret)
    assert actor == Actor(user_id=user.id, name="ada", is_admin=True, token_id=token.id)
    assert secret.startswith("paas_")
    assert len(secret) == len("paas_") + 43
    assert secret.encode() not in token.secret_hash
    assert secret not in token.secret_hint


@pytest.mark.parametrize("secret", ["", "paas_", "paas_" + "x" * 43, "\0", "\ud800", "p" * 100_000])
async def test_an_unknown_secret_is_nobody(database: Database, secret: str) -> None:
    await _user_with_token(database)
    with pytest.raises(Unauthenticated):
        await _authenticate(database, secret)


async def test_an_expired_secret_is_nobody(database: Database) -> None:
    _, token, secret = await _user_with_token(
        database, expires_at=datetime.now(UTC) + timedelta(hours=1)
    )
    await _authenticate(database, secret)
    async with database.write_transaction() as session:
        stored = await session.get_one(ApiToken, token.id)
        stored.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(Unauthenticated):
        await _authenticate(database, secret)


async def test_a_token_cannot_be_made_expired_or_without_a_time_zone(database: Database) -> None:
    for moment in (datetime.now(UTC) - timedelta(seconds=1), datetime(2999, 1, 1)):
        with pytest.raises(InvalidInput):
            await _user_with_token(database, expires_at=moment)


async def test_a_revoked_secret_is_nobody_and_only_its_user_revokes_it(database: Database) -> None:
    user, token, secret = await _user_with_token(database)
    async with database.write_transaction() as session:
        with pytest.raises(NotFound):
            await service.revoke(session, Actor(user_id="usr_other", name="eve"), token.id)
    owner = Actor(user_id=user.id, name="ada")
    for _ in range(2):
        async with database.write_transaction() as session:
            await service.revoke(session, owner, token.id)
    with pytest.raises(Unauthenticated):
        await _authenticate(database, secret)
    async with database.read_session() as session:
        assert await queries.list_own(session, owner) == []


async def test_use_is_recorded_at_most_once_a_minute(database: Database) -> None:
    _, token, secret = await _user_with_token(database)

    async def last_used() -> datetime | None:
        async with database.read_session() as session:
            return (await session.get_one(ApiToken, token.id)).last_used_at

    await _authenticate(database, secret)
    first = await last_used()
    assert first is not None
    await _authenticate(database, secret)
    assert await last_used() == first
    async with database.write_transaction() as session:
        (await session.get_one(ApiToken, token.id)).last_used_at = first - timedelta(minutes=2)
    await _authenticate(database, secret)
    again = await last_used()
    assert again is not None
    assert again >= first


async def test_only_an_operator_makes_users_and_each_name_once(database: Database) -> None:
    await _user_with_token(database)
    async with database.write_transaction() as session:
        with pytest.raises(Forbidden):
            await users.create(session, Actor(user_id="usr_x", name="eve"), name="bob")
    with pytest.raises(Taken):
        async with database.write_transaction() as session:
            await users.create(session, OPERATOR, name="ada")
