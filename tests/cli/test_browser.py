"""Signing in with a browser: only who is signed in allows it, and only who asked gets the token."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from app.http import auth_cli
from app.users import passwords
from app.users import service as users
from tests.cli.world import Terminal

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def browser(fresh: Terminal) -> AsyncIterator[httpx2.AsyncClient]:
    """Of grace, who has a password."""
    hashed = await passwords.hashed(PASSWORD)
    async with fresh.database.write_transaction() as session:
        await users.create(
            session, None, name="grace", email="grace@example.com", password_hash=hashed
        )
    async with httpx2.AsyncClient(base_url=fresh.host, headers={"Origin": fresh.host}) as client:
        yield client


async def _sign_in(browser: httpx2.AsyncClient) -> str:
    """The CSRF token, as the page gets it."""
    given = {"login": "grace", "password": PASSWORD}
    answer = await browser.post("/auth/sign-in", json=given)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["csrfToken"])


def _asked(verifier: str, **other: object) -> dict[str, object]:
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {"port": 40000, "state": "s" * 43, "challenge": challenge, "name": "laptop", **other}


async def test_login_gets_a_token_of_its_own_once_it_is_allowed(
    fresh: Terminal, browser: httpx2.AsyncClient
) -> None:
    fresh.environment["BROWSER"] = "true"  # opens nothing: this test is the browser
    process = await fresh.start("login", "--browser", fresh.host)
    assert process.stderr is not None
    async with asyncio.timeout(60):
        said = (await process.stderr.readline()).decode()
        page = said.split()[-1]
        shown = await browser.get(page)
        assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
        csrf = await _sign_in(browser)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        allowed = await browser.post(
            "/auth/cli", json={**asked, "port": int(asked["port"])}, headers={"X-CSRF-Token": csrf}
        )
        back = allowed.json()["url"]
        assert back.startswith(f"http://127.0.0.1:{asked['port']}/?code=")
        async with httpx2.AsyncClient() as elsewhere:
            wrong = back.replace(asked["state"], "x" * 43)
            assert (await elsewhere.get(wrong)).status_code == 404
            assert "You may close this page" in (await elsewhere.get(back)).text
        assert await process.wait() == 0
    who = (await fresh.ok("whoami", "--json")).json
    assert who["user"]["name"] == "grace"
    assert who["token"]["name"].startswith("paas on ")
    assert who["token"]["expiresAt"] is not None


async def test_code_is_good_for_who_has_the_verifier_and_for_a_minute(
    browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    csrf = {"X-CSRF-Token": await _sign_in(browser)}
    verifier = secrets.token_urlsafe(48)

    async def code() -> str:
        allowed = await browser.post("/auth/cli", json=_asked(verifier), headers=csrf)
        return parse_qs(urlsplit(str(allowed.json()["url"])).query)["code"][0]

    async def redeemed(code: str, verifier: str) -> int:
        given = {"code": code, "verifier": verifier}
        return (await browser.post("/auth/cli/token", json=given)).status_code

    assert await redeemed(await code(), secrets.token_urlsafe(48)) == 401
    assert await redeemed("nothing.AAAA", verifier) == 401
    assert await redeemed((await code())[:-4] + "AAAA", verifier) == 401
    assert await redeemed(await code(), verifier) == 200
    monkeypatch.setattr(auth_cli, "CODE_SECONDS", -1)
    assert await redeemed(await code(), verifier) == 401


async def test_only_our_own_page_allows_it_for_who_is_signed_in(
    fresh: Terminal, browser: httpx2.AsyncClient
) -> None:
    asked = _asked(secrets.token_urlsafe(48))
    assert (await browser.post("/auth/cli", json=asked)).status_code == 401
    csrf = await _sign_in(browser)
    assert (await browser.post("/auth/cli", json=asked)).status_code == 403
    foreign = {"X-CSRF-Token": csrf, "Origin": "https://evil.example.com"}
    assert (await browser.post("/auth/cli", json=asked, headers=foreign)).status_code == 403
    own = {"X-CSRF-Token": csrf}
    for wrong in ({"port": 80}, {"state": "short"}, {"challenge": "x"}, {"name": ""}):
        refused = await browser.post("/auth/cli", json={**asked, **wrong}, headers=own)
        assert refused.status_code == 422, wrong
    bearer = {"Authorization": f"Bearer {fresh.token}"}
    async with httpx2.AsyncClient(base_url=fresh.host) as program:
        assert (await program.post("/auth/cli", json=asked, headers=bearer)).status_code == 401
