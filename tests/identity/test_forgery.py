"""Requests that a page of somebody else makes a signed-in browser send, and names that a request claims."""

from __future__ import annotations

import base64
import hashlib

import pytest

from app.errors import InvalidInput
from app.http.auth_oidc import local_path
from app.models import User
from tests.identity.conftest import PASSWORD, URL, Browser, Site

EVIL = "https://evil.example.net"
BODY = {"slug": "forged"}
CREATE = {
    "query": 'mutation { organizationCreate(input: {slug: "forged"}) { organization { id } } }'
}
SAME, CROSS, SITE = "same-origin", "cross-site", "same-site"


FOREIGN: list[dict[str, str]] = [
    {},
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": URL + ".evil.example.net"},
    {"Origin": URL.replace("https", "http")},
    {"Origin": URL + ":8443"},
    {"Origin": URL, "Sec-Fetch-Site": CROSS},
    {"Origin": URL, "Sec-Fetch-Site": SITE},
    {"Origin": EVIL, "Sec-Fetch-Site": SITE},
    {"Origin": URL, "Sec-Fetch-Site": CROSS, "Sec-Fetch-Mode": "navigate"},
    {"Origin": URL, "Sec-Fetch-Site": "none"},
    {"Origin": URL, "X-CSRF-Token": ""},
    {"Origin": URL, "X-CSRF-Token": "AAAA"},
    {"Host": "evil.example.net", "Origin": "https://evil.example.net"},
    {"X-Forwarded-Host": "evil.example.net", "Origin": "https://evil.example.net"},
]
OWN: list[dict[str, str]] = [
    {"Origin": URL},
    {"Sec-Fetch-Site": SAME},
    {"Sec-Fetch-Site": SAME, "Origin": "http://alias"},
]


async def _statuses(
    browser: Browser, path: str, body: object, cases: list[dict[str, str]]
) -> dict[str, int]:
    browser.origin = None
    return {
        str(headers): (await browser.post(path, body, **headers)).status_code for headers in cases
    }


async def _organizations(browser: Browser) -> int:
    return len((await browser.get("/api/orgs/")).json()["organizations"])


@pytest.mark.parametrize(("path", "body"), [("/api/orgs/", BODY), ("/graphql", CREATE)])
async def test_a_change_that_our_own_page_did_not_ask_for_is_refused(
    signed_in: Browser, path: str, body: dict[str, str]
) -> None:
    statuses = await _statuses(signed_in, path, body, FOREIGN)
    assert statuses == {str(headers): 403 for headers in FOREIGN}
    assert await _organizations(signed_in) == 0


async def test_our_own_page_may_with_the_sessions_token(signed_in: Browser) -> None:
    for number, headers in enumerate(OWN):
        slug = {"slug": f"own-{number}"}
        assert list((await _statuses(signed_in, "/api/orgs/", slug, [headers])).values()) == [201]


async def test_another_sessions_token_is_none(site: Site, signed_in: Browser) -> None:
    other = await site.browser()
    await other.sign_in()
    signed_in.csrf = other.csrf
    assert (await signed_in.post("/api/orgs/", BODY)).status_code == 403


async def test_reading_is_for_our_pages_and_for_who_follows_a_link(signed_in: Browser) -> None:
    cases: list[tuple[int, dict[str, str]]] = [
        (200, {}),
        (200, {"Sec-Fetch-Site": SAME}),
        (200, {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}),
        (200, {"Sec-Fetch-Site": CROSS, "Sec-Fetch-Mode": "navigate"}),
        (403, {"Sec-Fetch-Site": CROSS, "Sec-Fetch-Mode": "cors"}),
        (403, {"Sec-Fetch-Site": SITE, "Sec-Fetch-Mode": "no-cors"}),
        (403, {"Origin": EVIL}),
    ]
    for status, headers in cases:
        response = await signed_in.get("/api/orgs/", **headers)
        assert response.status_code == status, headers
        assert "access-control-allow-origin" not in response.headers


async def test_a_token_says_by_itself_that_it_was_meant(
    site: Site, ada: User, browser: Browser
) -> None:
    browser.extra["Authorization"] = f"Bearer {await site.token(ada)}"
    assert (await browser.post("/api/orgs/", BODY, Origin=EVIL)).status_code == 201


async def test_a_bad_token_is_not_made_up_for_by_a_good_cookie(signed_in: Browser) -> None:
    response = await signed_in.get("/api/orgs/", Authorization="Bearer paas_wrong")
    assert response.status_code == 401


async def test_nobody_is_signed_in_as_somebody_else_by_another_page(browser: Browser) -> None:
    given = {"login": "ada", "password": PASSWORD}
    foreign = [{"Origin": EVIL}, {"Sec-Fetch-Site": CROSS}, {"Origin": "null"}]
    statuses = await _statuses(browser, "/auth/sign-in", given, foreign)
    assert set(statuses.values()) == {403}
    assert browser.cookie is None


async def test_only_json_that_says_so_signs_anybody_in(browser: Browser) -> None:
    body = f'{{"login": "ada", "password": "{PASSWORD}"}}'.encode()
    bodies = [b"", b"[]", b"{", b'{"login": 1, "password": ""}', b"[" * 9000, b"\xff", b"{}" * 9000]
    forms = ["text/plain", "application/x-www-form-urlencoded", "", "text/application/json"]
    cases = [(body, form) for form in forms] + [(bad, "application/json") for bad in bodies]
    for content, kind in cases:
        headers = {"Content-Type": kind, "Origin": URL}
        response = await browser.http.post("/auth/sign-in", content=content, headers=headers)
        assert response.status_code in {413, 422}, (content[:30], kind)
        assert response.json()["error"]["message"]


async def test_no_answer_repeats_the_name_that_a_request_claims_for_us(signed_in: Browser) -> None:
    headers = {
        "Host": "evil.example.net",
        "X-Forwarded-Host": "evil.example.net",
        "X-Forwarded-Proto": "gopher",
        "Forwarded": "host=evil.example.net",
    }
    paths = ["/", "/auth/session", "/auth/session/", "/api/orgs", "/graphql/", "/git", "/healthz/"]
    for path in paths:
        response = await signed_in.get(path, **headers)
        assert "evil" not in response.text + str(response.headers), path
        assert "location" not in response.headers, path


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "///evil.example",
        "evil.example",
        "/a\r\nSet-Cookie: x=y",
        "/\t/evil.example",
        "/" + "x" * 600,
    ],
)
def test_nobody_is_sent_on_to_another_place_after_signing_in(place: str) -> None:
    with pytest.raises(InvalidInput):
        local_path(place)


def test_a_path_of_ours_is_where_one_goes_on() -> None:
    for path in ("/", "/acme/storefront?tab=logs#last", "/%0d", "/a//b"):
        assert local_path(path) == path
    assert local_path(None) == "/"


async def test_the_page_runs_its_own_script_and_is_framed_by_nobody(browser: Browser) -> None:
    page = await browser.get("/auth/")
    script = page.text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "innerHTML" not in script
