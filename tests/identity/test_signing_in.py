"""Signing in with a password, and the session that it makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from app.access.actor import OPERATOR
from app.models import AuditEntry, User, UserSession
from app.users import passwords
from app.users import service as users
from tests.identity.conftest import PASSWORD, Browser, Site

ME = "{ viewer { user { name } sessions { id isCurrent userAgent address } } }"
REVOKE = "mutation($id: ID!) { sessionRevoke(id: $id) { sessionId userErrors { code } } }"
CHANGE = (
    "mutation($old: String!, $new: String!) { passwordChange(currentPassword: $old, newPassword: $new)"
    " { sessions { isCurrent } userErrors { code field message } } }"
)
NEW = "another good password"


async def test_name_or_address_and_password_make_a_session(browser: Browser) -> None:
    answer = await browser.sign_in("ADA@example.com")
    assert answer["user"]["name"] == "ada"
    assert await browser.who() == "ada"
    assert (await browser.graphql(ME))["viewer"]["user"] == {"name": "ada"}
    assert (await browser.get("/api/tokens/")).status_code == 200
    await browser.post("/auth/sign-out")
    await browser.sign_in("ada")


async def test_the_cookie_is_out_of_reach_of_scripts_other_hosts_and_plain_http(
    browser: Browser,
) -> None:
    response = await browser.post("/auth/sign-in", {"login": "ada", "password": PASSWORD})
    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-paas_session=paass_")
    assert attributes == ["Max-Age=2592000", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"]
    assert response.headers["cache-control"] == "no-store"


async def test_whatever_is_wrong_the_answer_and_the_work_are_the_same(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.user("machine", password=None)
    hashed: list[bool] = []
    check = passwords._check

    def counting(stored: str | None, given: bytes) -> passwords.Checked:
        hashed.append(stored is None)
        return check(stored, given)

    monkeypatch.setattr(passwords, "_check", counting)
    answers = set()
    for login in ("ada", "machine", "nobody", "nobody@example.com", "a\0b", "x" * 10_000):
        response = await browser.post("/auth/sign-in", {"login": login, "password": "wrong" * 4})
        assert "set-cookie" not in response.headers
        answers.add((response.status_code, response.text))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    assert hashed == [False, True, True, True, True, True]


async def test_a_hash_of_weaker_parameters_is_replaced_when_its_password_is_known(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with site.database.write_transaction() as session:
        await session.execute(update(User).values(password_hash=weak))
    await browser.sign_in()
    async with site.database.read_session() as session:
        stored = await session.scalar(select(User.password_hash).where(User.name == "ada"))
    assert stored is not None
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    await browser.sign_in()


async def test_a_session_that_was_planted_beforehand_is_not_the_one_that_signs_in(
    site: Site, browser: Browser
) -> None:
    browser.http.cookies.set("__Host-paas_session", "paass_planted", domain="paas.example.com")
    await browser.sign_in()
    first = browser.cookie
    assert first is not None
    assert first != "paass_planted"
    await browser.sign_in()
    stolen = await site.browser()
    stolen.http.cookies.set("__Host-paas_session", first, domain="paas.example.com")
    assert await stolen.who() is None


async def test_a_cookie_that_was_changed_is_nobodys(signed_in: Browser) -> None:
    secret = signed_in.cookie
    assert secret is not None
    for tampered in (
        secret[:-1] + ("A" if secret[-1] != "A" else "B"),
        secret[:-1],
        "",
        "x" * 5000,
    ):
        header = f"__Host-paas_session={tampered}"
        signed_in.http.cookies.clear()
        assert (await signed_in.get("/api/orgs/", Cookie=header)).status_code == 401
    twice = f"__Host-paas_session={secret}; __Host-paas_session={secret}"
    assert (await signed_in.get("/api/orgs/", Cookie=twice)).status_code == 401
    assert (await signed_in.get("/api/orgs/", Cookie=f"paas_session={secret}")).status_code == 401
    assert (
        await signed_in.get("/api/orgs/", Cookie=f"__Host-paas_session={secret}")
    ).status_code == 200


async def test_signing_out_ends_the_session_itself(signed_in: Browser) -> None:
    secret = signed_in.cookie
    assert (await signed_in.post("/auth/sign-out")).status_code == 204
    assert signed_in.cookie is None
    header = f"__Host-paas_session={secret}"
    assert (await signed_in.get("/api/orgs/", Cookie=header)).status_code == 401


@pytest.mark.parametrize("column", ["last_used_at", "expires_at"])
async def test_a_session_ends_when_it_is_idle_or_old(
    site: Site, signed_in: Browser, column: str
) -> None:
    ago = {"last_used_at": timedelta(hours=168, seconds=1), "expires_at": timedelta(seconds=1)}
    async with site.database.write_transaction() as session:
        moment = datetime.now(UTC) - ago[column]
        await session.execute(update(UserSession).values({column: moment}))
    assert await signed_in.who() is None
    assert signed_in.cookie is None


async def test_a_user_sees_and_ends_own_sessions_and_nobody_elses(
    site: Site, signed_in: Browser
) -> None:
    phone = await site.browser("198.51.100.9")
    phone.extra["User-Agent"] = "Phone/1"
    await phone.sign_in()
    await site.user("eve")
    eve = await site.browser()
    await eve.sign_in("eve")
    sessions = (await signed_in.graphql(ME))["viewer"]["sessions"]
    assert [(each["isCurrent"], each["address"]) for each in sessions] == [
        (False, "198.51.100.9"),
        (True, "203.0.113.7"),
    ]
    other = sessions[0]["id"]
    refused = await eve.graphql(REVOKE, id=other)
    assert refused["sessionRevoke"]["userErrors"] == [{"code": "NOT_FOUND"}]
    ended = await signed_in.graphql(REVOKE, id=other)
    assert ended["sessionRevoke"] == {"sessionId": other, "userErrors": []}
    assert (await phone.who(), await signed_in.who(), await eve.who()) == (None, "ada", "eve")


async def test_a_new_password_ends_every_other_session(site: Site, signed_in: Browser) -> None:
    phone = await site.browser()
    await phone.sign_in()
    answer = await signed_in.graphql(CHANGE, old=PASSWORD, new=NEW)
    assert answer["passwordChange"] == {"sessions": [{"isCurrent": True}], "userErrors": []}
    assert (await phone.who(), await signed_in.who()) == (None, "ada")
    old = await phone.post("/auth/sign-in", {"login": "ada", "password": PASSWORD})
    assert old.status_code == 401
    await phone.sign_in(password=NEW)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("wrong" * 4, NEW, "currentPassword"),
        (PASSWORD, "short", "newPassword"),
        (PASSWORD, "ababababababab", "newPassword"),
        (PASSWORD, "x" * 501, "newPassword"),
    ],
)
async def test_a_password_that_will_not_do_changes_nothing(
    signed_in: Browser, old: str, new: str, field: str
) -> None:
    answer = (await signed_in.graphql(CHANGE, old=old, new=new))["passwordChange"]
    assert [error["field"] for error in answer["userErrors"]] == [[field]]
    await signed_in.sign_in()


async def test_an_api_token_cannot_take_the_account_over(
    site: Site, ada: User, browser: Browser
) -> None:
    browser.extra["Authorization"] = f"Bearer {await site.token(ada)}"
    answer = await browser.graphql(CHANGE, old=PASSWORD, new=NEW)
    assert [e["code"] for e in answer["passwordChange"]["userErrors"]] == ["PRECONDITION_FAILED"]


async def test_an_operators_link_sets_a_password_once(
    site: Site, signed_in: Browser, ada: User
) -> None:
    async with site.database.write_transaction() as session:
        _, older = await users.issue_link(session, site.settings, OPERATOR, ada)
        _, secret = await users.issue_link(session, site.settings, OPERATOR, ada)
    fresh = await site.browser()
    assert (await fresh.post("/auth/password", {"link": older, "password": NEW})).status_code == 404
    weak = await fresh.post("/auth/password", {"link": secret, "password": "short"})
    assert weak.status_code == 422
    response = await fresh.post("/auth/password", {"link": secret, "password": NEW})
    assert fresh.signed_in(response)["user"]["name"] == "ada"
    assert (await fresh.who(), await signed_in.who()) == ("ada", None)
    again = await fresh.post("/auth/password", {"link": secret, "password": NEW})
    assert again.status_code == 404


async def test_what_happened_to_an_account_is_in_the_audit_log(
    site: Site, signed_in: Browser
) -> None:
    await signed_in.graphql(CHANGE, old=PASSWORD, new=NEW)
    await signed_in.post("/auth/sign-out")
    async with site.database.read_session() as session:
        rows = await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    told = [(row.action, row.user_name, row.address) for row in rows if row.user_name == "ada"]
    assert told == [
        ("session.start", "ada", "203.0.113.7"),
        ("password.set", "ada", "203.0.113.7"),
        ("session.end", "ada", "203.0.113.7"),
    ]
