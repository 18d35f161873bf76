"""Webhooks and remotes over REST."""

from __future__ import annotations

from tests.rest.conftest import Api

HOOKS = "/api/orgs/acme/webhooks/"
REMOTE = "/api/orgs/acme/projects/storefront/apps/web/remote"


async def test_webhook_from_its_making_to_its_end(web: Api) -> None:
    owner = web.owner
    given = {
        "url": "https://example.com/hook",
        "events": ["deployment.failed"],
        "project": "storefront",
    }
    made = await owner.ok("POST", HOOKS, given)
    assert made["signingSecret"].startswith("whsec_")
    assert (made["events"], made["enabled"]) == (["deployment.failed"], True)
    (listed,) = (await owner.ok("GET", HOOKS))["webhooks"]
    assert "signingSecret" not in listed
    path = HOOKS + made["id"]
    sent = await owner.ok("POST", path + "/test")
    (delivery,) = (await owner.ok("GET", path + "/deliveries/"))["deliveries"]
    assert delivery == sent
    again = await owner.ok("POST", f"{path}/deliveries/{sent['id']}/retry")
    assert again["id"] == sent["id"]
    off = await owner.ok("PATCH", path, {"enabled": False})
    assert (off["enabled"], off["disabledReason"]) == (False, None)
    error = await owner.error("POST", path + "/test")
    assert error["code"] == "PRECONDITION_FAILED"
    for client in (web.developer, web.viewer):
        for method, where in (
            ("GET", HOOKS),
            ("GET", path + "/deliveries/"),
            ("PATCH", path),
            ("DELETE", path),
            ("POST", path + "/test"),
            ("POST", f"{path}/deliveries/{sent['id']}/retry"),
        ):
            error = await client.error(method, where, {} if method == "PATCH" else None)
            assert error["code"] == "FORBIDDEN", (method, where)
    await owner.ok("DELETE", path)
    assert (await owner.error("DELETE", path))["code"] == "NOT_FOUND"


async def test_webhook_of_another_organization_is_not_there(web: Api) -> None:
    theirs = await web.operator.ok(
        "POST", "/api/orgs/evil/webhooks/", {"url": "https://example.com/"}
    )
    for path in (HOOKS + theirs["id"], HOOKS + "whk_" + "0" * 26):
        error = await web.owner.error("DELETE", path)
        assert (error["code"], error["message"]) == ("NOT_FOUND", "There is no such webhook.")


async def test_what_cannot_be_a_webhook_is_refused(web: Api) -> None:
    for url in ("http://example.com/", "https://u:p@example.com/", "ftp://x/", "", "x" * 3000):
        error = await web.owner.error("POST", HOOKS, {"url": url})
        assert (error["code"], error["field"]) == ("INVALID", "url")
    error = await web.owner.error("POST", HOOKS, {"url": "https://x.test/", "events": ["nonsense"]})
    assert error["code"] == "INVALID"
    for _ in range(20):
        await web.owner.ok("POST", HOOKS, {"url": "https://example.com/"})
    error = await web.owner.error("POST", HOOKS, {"url": "https://example.com/"})
    assert error["code"] == "LIMIT_REACHED"


async def test_remote_is_linked_shown_without_its_secrets_and_unlinked(web: Api) -> None:
    assert (await web.owner.error("GET", REMOTE))["code"] == "NOT_FOUND"
    given = {"host": "gitea", "url": "https://git.example.com/a/b.git", "token": "t0ken"}
    linked = await web.developer.ok("PUT", REMOTE, given)
    assert linked["hookSecret"]
    assert linked["hookUrl"].endswith("/gitea")
    shown = await web.viewer.ok("GET", REMOTE)
    assert shown["hasToken"] is True
    assert "t0ken" not in str(shown)
    assert (await web.owner.ok("PUT", REMOTE, given))["hookSecret"] is None
    await web.owner.ok("DELETE", REMOTE)
    assert (await web.owner.error("GET", REMOTE))["code"] == "NOT_FOUND"
