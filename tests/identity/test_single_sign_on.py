"""Signing in with a real OpenID provider."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select, update

from app.access.actor import OPERATOR
from app.errors import ExternalFailure, InvalidInput
from app.invitations import service as invitations
from app.models import Membership, Role, User, UserIdentity
from app.organizations import service as organizations
from app.settings import Settings
from app.users.oidc import Provider
from tests.conftest import free_port
from tests.identity.conftest import URL, Browser, Build, Site
from tests.identity.oidc import provider, signs_in

ADA = "s-ada ada@corp.example verified"
CALLBACK = f"{URL}/auth/oidc/callback"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with provider(free_port(), CALLBACK) as issuer:
        yield issuer


@pytest.fixture
def site(build: Build, issuer: str) -> Site:
    return build(
        oidc_issuer=issuer,
        oidc_client_id="paas",
        oidc_client_secret="a secret of the client",
        oidc_email_domains="corp.example, corp2.example",
        rate_limit_sign_in="off",
    )


@pytest.fixture
async def browser(site: Site) -> Browser:
    return await site.browser()


async def _start(browser: Browser, query: str = "") -> str:
    response = await browser.get(f"/auth/oidc/start{query}")
    assert response.status_code == 303, response.text
    return str(response.headers["location"])


async def _sign_in(browser: Browser, login: str, query: str = "") -> tuple[int, str]:
    """The callback's status, and where it leads or what it says."""
    back = await signs_in(await _start(browser, query), login)
    response = await browser.get(back.removeprefix(URL))
    return response.status_code, response.headers.get("location") or response.text


async def _count(site: Site, row: type[User] | type[UserIdentity]) -> int:
    async with site.database.read_session() as session:
        return await session.scalar(select(func.count()).select_from(row)) or 0


async def test_who_is_of_our_domain_signs_up_once_and_is_recognised_by_subject(
    site: Site, browser: Browser
) -> None:
    assert await _sign_in(browser, ADA, "?next=/acme?tab=apps") == (303, "/acme?tab=apps")
    assert await browser.who() == "s-ada"
    cookies = browser.http.cookies
    assert cookies.get("__Host-paas_oidc") is None
    async with site.database.write_transaction() as session:
        await session.execute(update(User).values(name="Ada L.", email="elsewhere@example.com"))
    again = await site.browser()
    assert (await _sign_in(again, ADA))[0] == 303
    assert await again.who() == "Ada L."
    assert await _count(site, User) == 1


async def test_the_request_has_state_nonce_and_a_challenge(browser: Browser) -> None:
    first, second = [parse_qs(urlsplit(await _start(browser)).query) for _ in range(2)]
    assert first["code_challenge_method"] == ["S256"]
    assert first["response_type"] == ["code"]
    assert first["redirect_uri"] == [CALLBACK]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name][0]) >= 20


@pytest.mark.parametrize(
    "login",
    [
        "s-1 mallory@elsewhere.example verified",
        "s-2 mallory@corp.example no",
        "s-3 mallory@corp.example.evil.example verified",
        "s-4 mallory@sub.corp.example verified",
    ],
)
async def test_nobody_else_signs_up_by_an_address(site: Site, browser: Browser, login: str) -> None:
    status, text = await _sign_in(browser, login)
    assert (status, "invitation" in text) == (403, True)
    assert await browser.who() is None
    assert await _count(site, User) == 0


async def test_an_account_with_a_users_address_does_not_become_that_user(
    site: Site, browser: Browser
) -> None:
    await site.user("ada", email="ada@corp.example")
    status, text = await _sign_in(browser, ADA)
    assert (status, "already a user with this e-mail address" in text) == (409, True)
    assert await browser.who() is None
    assert await _count(site, UserIdentity) == 0
    back = await signs_in(await _start(browser), "s-5 <b>@x.example no")
    page = await browser.get(back.removeprefix(URL), Accept="text/html,*/*")
    assert (page.status_code, page.headers["content-type"][:9]) == (403, "text/html")
    assert "<b>" not in page.text


async def test_a_signed_in_user_links_the_account_and_unlinks_it(
    site: Site, browser: Browser
) -> None:
    await site.user("ada", email="ada@corp.example")
    await browser.sign_in()
    refused = await browser.post("/auth/oidc/link", None, **{"X-CSRF-Token": "no"})
    assert refused.status_code == 403
    url = (await browser.post("/auth/oidc/link")).json()["url"]
    back = await signs_in(url, ADA)
    assert (await browser.get(back.removeprefix(URL))).status_code == 303
    phone = await site.browser()
    assert (await _sign_in(phone, ADA))[0] == 303
    assert await phone.who() == "ada"
    [identity] = (await browser.graphql("{ viewer { identities { id email } } }"))["viewer"][
        "identities"
    ]
    assert identity["email"] == "ada@corp.example"
    unlink = "mutation($id: ID!) { identityUnlink(id: $id) { userErrors { code } } }"
    answer = await browser.graphql(unlink, id=identity["id"])
    assert answer["identityUnlink"]["userErrors"] == []
    assert (await _sign_in(await site.browser(), ADA))[0] == 409


async def test_the_last_way_in_is_not_unlinked(browser: Browser) -> None:
    await _sign_in(browser, ADA)
    browser.csrf = (await browser.get("/auth/session")).json()["csrfToken"]
    [identity] = (await browser.graphql("{ viewer { identities { id } } }"))["viewer"]["identities"]
    unlink = "mutation($id: ID!) { identityUnlink(id: $id) { userErrors { code } } }"
    answer = await browser.graphql(unlink, id=identity["id"])
    assert answer["identityUnlink"]["userErrors"] == [{"code": "PRECONDITION_FAILED"}]


async def test_an_account_is_not_linked_to_whoever_signed_in_meanwhile(
    site: Site, browser: Browser
) -> None:
    for name in ("ada", "eve"):
        await site.user(name)
    await browser.sign_in("ada")
    url = (await browser.post("/auth/oidc/link")).json()["url"]
    back = await signs_in(url, ADA)
    await browser.sign_in("eve")
    assert (await browser.get(back.removeprefix(URL))).status_code == 401
    assert await _count(site, UserIdentity) == 0


async def test_an_invitation_lets_anybody_sign_up_and_join(site: Site, browser: Browser) -> None:
    async with site.database.write_transaction() as session:
        acme = await organizations.create(session, OPERATOR, slug="acme")
        _, secret = await invitations.invite(
            session, site.settings, OPERATOR, acme, email="x@example.com", role=Role.DEVELOPER
        )
    login = "s-9 bob@elsewhere.example no"
    assert (await _sign_in(browser, login, f"?invitation={secret}"))[0] == 303
    assert await browser.who() == "s-9"
    async with site.database.read_session() as session:
        assert await session.scalar(select(Membership.role)) is Role.DEVELOPER
        assert await session.scalar(select(User.email)) is None
    status, _ = await _sign_in(await site.browser(), "s-10 x@x.example no", f"?invitation={secret}")
    assert status == 404
    assert await _count(site, User) == 1


async def test_an_answer_is_taken_once_and_by_the_browser_that_asked(
    site: Site, browser: Browser
) -> None:
    back = (await signs_in(await _start(browser), ADA)).removeprefix(URL)
    victim = await site.browser()
    assert (await victim.get(back)).status_code == 401
    await _start(victim)
    assert (await victim.get(back)).status_code == 401
    sealed = browser.http.cookies.get("__Host-paas_oidc")
    assert sealed is not None
    assert (await browser.get(back)).status_code == 303
    browser.http.cookies.set("__Host-paas_oidc", sealed, domain="paas.example.com")
    assert (await browser.get(back)).status_code == 401
    assert await _count(site, User) == 1


async def test_an_answer_that_was_changed_is_refused(site: Site, browser: Browser) -> None:
    good = (await signs_in(await _start(browser), ADA)).removeprefix(URL)
    query = {name: values[0] for name, values in parse_qs(urlsplit(good).query).items()}
    for changed in (
        {"state": "x"},
        {"state": ""},
        {"code": "x"},
        {"iss": "https://evil.example"},
        {"error": "access_denied"},
    ):
        params = {**query, **changed}
        response = await browser.http.get("/auth/oidc/callback", params=params)
        assert response.status_code == 401, changed
    sealed = browser.http.cookies.get("__Host-paas_oidc") or ""
    for value in ("", "x", "x.y", sealed[:-8] + "AAAAAAA=", "." + sealed):
        header = f"__Host-paas_oidc={value}"
        browser.http.cookies.clear()
        assert (await browser.get(good, Cookie=header)).status_code == 401, value


async def test_a_provider_that_is_away_or_somebody_else_is_told_of(
    build: Build, issuer: str
) -> None:
    away = build(oidc_issuer=f"http://127.0.0.1:{free_port()}", oidc_client_id="paas")
    response = await (await away.browser()).get("/auth/oidc/start")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "EXTERNAL_FAILURE")
    other = Settings(oidc_issuer=issuer + "/", oidc_client_id="paas")
    with pytest.raises(ExternalFailure, match="calls itself"):
        await Provider(other).begin()
    with pytest.raises(InvalidInput, match="https://"):
        Provider(Settings(oidc_issuer="http://sso.example.com", oidc_client_id="paas"))
