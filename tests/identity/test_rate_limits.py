"""How often one may ask, and guess."""

from __future__ import annotations

import base64
import time

import pytest

from app.errors import InvalidInput
from app.http import rate_limits
from app.http.rate_limits import Counters, RateLimits, network_of
from app.main import server_config
from app.settings import Settings
from tests.identity.conftest import PASSWORD, Browser, Build, Site

RATE = "{ rateLimit { limit cost remaining resetAt } }"


async def _token(site: Site, name: str = "ada") -> str:
    return await site.token(await site.user(name))


async def _statuses(browser: Browser, path: str, count: int, **headers: str) -> list[int]:
    return [(await browser.get(path, **headers)).status_code for _ in range(count)]


async def test_a_token_has_its_limit_from_wherever_it_is_used_and_however_it_is_sent(
    build: Build,
) -> None:
    site = build(rate_limit_token="3/minute")
    secret = await _token(site)
    first, second = await site.browser("192.0.2.1"), await site.browser("192.0.2.2")
    auth = {"Authorization": f"Bearer {secret}"}
    assert await _statuses(first, "/api/orgs/", 2, **auth) == [200, 200]
    padded = {"Authorization": f"bearer   {secret}  "}
    assert await _statuses(second, "/api/orgs/", 1, **padded) == [200]
    response = await second.get("/api/orgs/", **auth)
    assert response.status_code == 429
    assert 1 <= int(response.headers["retry-after"]) <= 60
    error = response.json()["error"]
    assert error["code"] == "LIMIT_REACHED"
    assert "the limit is 3 requests with one token in a minute" in error["message"]
    graphql = await first.post("/graphql", {"query": RATE}, **auth)
    assert graphql.status_code == 429
    assert graphql.json()["errors"][0]["extensions"]["code"] == "LIMIT_REACHED"
    basic = base64.b64encode(f"anybody:{secret}".encode()).decode()
    git = await first.get("/git/a/b/c.git/info/refs", Authorization=f"Basic {basic}")
    assert (git.status_code, git.headers["content-type"][:10]) == (429, "text/plain")
    other = {"Authorization": f"Bearer {await _token(site, 'bob')}"}
    assert await _statuses(first, "/api/orgs/", 1, **other) == [200]


async def test_an_address_has_its_limit_whoever_asks(build: Build) -> None:
    site = build(rate_limit_address="3/minute")
    flood, other = await site.browser("2001:db8::1"), await site.browser("2001:db8:0:1::1")
    assert await _statuses(flood, "/api/orgs/", 4) == [401, 401, 401, 429]
    neighbour = await site.browser("2001:db8::ffff:2")
    assert await _statuses(neighbour, "/", 1) == [429]
    assert await _statuses(other, "/", 1) == [200]
    assert await _statuses(flood, "/healthz", 5) == [200] * 5


async def test_guessing_tokens_ends_and_known_tokens_of_the_address_go_on(build: Build) -> None:
    site = build(rate_limit_failures="3/minute")
    office = await site.browser()
    known, unused = await _token(site), await _token(site, "bob")
    auth = {"Authorization": f"Bearer {known}"}
    assert await _statuses(office, "/api/orgs/", 1, **auth) == [200]
    guesses = [
        (await office.get("/api/orgs/", Authorization=f"Bearer paas_{number}")).status_code
        for number in range(5)
    ]
    assert guesses == [401, 401, 401, 429, 429]
    git = await office.get("/git/a/b/c.git/info/refs", Authorization="Bearer paas_9")
    assert git.status_code == 429
    assert await _statuses(office, "/api/orgs/", 1, **auth) == [200]
    assert await _statuses(office, "/api/orgs/", 1, Authorization=f"Bearer {unused}") == [429]
    elsewhere = await site.browser("192.0.2.77")
    assert await _statuses(elsewhere, "/api/orgs/", 1, Authorization=f"Bearer {unused}") == [200]


async def test_the_same_wrong_token_again_and_again_is_one_guess(build: Build) -> None:
    site = build(rate_limit_failures="2/minute")
    office = await site.browser()
    stale = {"Authorization": "Bearer paas_revoked"}
    assert await _statuses(office, "/api/orgs/", 5, **stale) == [401] * 5
    assert await _statuses(office, "/api/orgs/", 1, Authorization="Bearer paas_2") == [401]
    assert await _statuses(office, "/api/orgs/", 1, Authorization="Bearer paas_3") == [429]


async def test_guessing_passwords_ends(build: Build) -> None:
    site = build(rate_limit_sign_in="2/minute")
    await site.user("ada")
    guesser = await site.browser()
    given = {"login": "ada", "password": "wrong" * 4}
    statuses = [(await guesser.post("/auth/sign-in", given)).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]
    right = await guesser.post("/auth/sign-in", {"login": "ada", "password": PASSWORD})
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) >= 1
    for number in range(20):
        await (await site.browser(f"198.51.100.{number}")).post("/auth/sign-in", given)
    late = await site.browser("198.51.100.200")
    assert (await late.post("/auth/sign-in", {**given, "login": " ADA"})).status_code == 429
    assert (await late.post("/auth/sign-in", {**given, "login": "bob"})).status_code == 401


async def test_a_stolen_session_cannot_guess_the_password_either(build: Build) -> None:
    site = build(rate_limit_sign_in="3/minute")
    await site.user("ada")
    browser = await site.browser()
    await browser.sign_in()
    change = (
        'mutation { passwordChange(currentPassword: "wrong wrong", newPassword: "another good one")'
        " { userErrors { code } } }"
    )
    codes = [
        (await browser.graphql(change))["passwordChange"]["userErrors"][0]["code"] for _ in range(3)
    ]
    assert codes == ["INVALID", "INVALID", "LIMIT_REACHED"]


async def test_the_graph_says_what_is_left(build: Build) -> None:
    site = build(rate_limit_token="10/hour", rate_limit_address="7/minute")
    browser = await site.browser()
    anonymous = (await browser.graphql(RATE))["rateLimit"]
    assert (anonymous["limit"], anonymous["cost"], anonymous["remaining"]) == (7, 1, 6)
    browser.extra["Authorization"] = f"Bearer {await _token(site)}"
    assert (await browser.graphql(RATE))["rateLimit"]["remaining"] == 9
    again = (await browser.graphql(RATE))["rateLimit"]
    assert (again["limit"], again["remaining"]) == (10, 8)


async def test_limits_may_be_off(build: Build) -> None:
    site = build(rate_limit_token="off", rate_limit_address="off")
    browser = await site.browser()
    assert (await browser.graphql(RATE))["rateLimit"] is None


@pytest.mark.parametrize("setting", ["lots", "0/century", "-1/minute", "10"])
def test_a_setting_that_is_no_limit_is_named(setting: str) -> None:
    with pytest.raises(InvalidInput, match="PAAS_RATE_LIMIT_ADDRESS"):
        RateLimits(Settings(rate_limit_address=setting))


async def test_an_address_is_believed_of_trusted_proxies_only(build: Build) -> None:
    def forwarded(address: str) -> dict[str, str]:
        return {"X-Forwarded-For": address}

    direct = build(rate_limit_address="2/minute")
    liar = await direct.browser("127.0.0.1")
    statuses = [
        (await liar.get("/", **forwarded(f"192.0.2.{number}"))).status_code for number in range(3)
    ]
    assert statuses == [200, 200, 429]
    behind = build(rate_limit_address="2/minute", trusted_proxies="10.0.0.0/8, 127.0.0.1")
    proxy = await behind.browser("10.1.2.3")
    for address in ("192.0.2.1", "192.0.2.2", "6.6.6.6, 192.0.2.3, 10.9.9.9"):
        assert (await proxy.get("/", **forwarded(address))).status_code == 200
    spoofed = [
        (await proxy.get("/", **forwarded(f"9.9.9.{number}, 192.0.2.1"))).status_code
        for number in range(2)
    ]
    assert spoofed == [200, 429]


@pytest.mark.parametrize("proxies", ["*", "10.0.0.0/8, everybody", "10.0.0.1/8"])
def test_what_is_no_address_of_a_proxy_is_refused(proxies: str) -> None:
    with pytest.raises(InvalidInput, match="PAAS_TRUSTED_PROXIES"):
        server_config(Settings(trusted_proxies=proxies), lambda scope, receive, send: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_flood_of_keys_is_forgotten_when_its_windows_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "_KEPT", 10)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    counters = Counters()
    for number in range(20):
        assert counters.incr(str(number), 60) == 1
    assert counters.incr("0", 60) == 2
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert counters.get("0") == 0
    for number in range(50):
        counters.incr(f"new {number}", 60)
    assert "1" not in counters._windows
    assert counters.get("new 0") == 1


async def test_what_may_ask_for_much_counts_as_more(build: Build) -> None:
    site = build(rate_limit_token="1000/hour")
    browser = await site.browser()
    browser.extra["Authorization"] = f"Bearer {await _token(site)}"
    large = (
        "{ organizations(first: 100) { nodes { projects(first: 100) { nodes"
        " { apps(first: 20) { nodes { slug } } } } } } %s }"
    )
    told = (await browser.graphql(large % "rateLimit { cost remaining }"))["rateLimit"]
    assert told["cost"] > 20
    assert told["remaining"] == 1000 - told["cost"]
    await browser.graphql(large % "")
    after = (await browser.graphql(RATE))["rateLimit"]
    assert after["remaining"] <= told["remaining"] - told["cost"]
