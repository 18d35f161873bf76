"""The preview rule over REST."""

from __future__ import annotations

from tests.rest.conftest import Api

RULE = "/api/orgs/acme/projects/storefront/preview-rule"


async def test_rest_sets_shows_and_removes_it(web: Api) -> None:
    assert (await web.viewer.error("GET", RULE))["status"] == 404
    given = {"branchPattern": "pr-*", "sourceEnvironment": "staging", "maxEnvironments": 3}
    said = await web.owner.ok("PUT", RULE, given)
    expected = {**given, "slugTemplate": "{branch}", "idleHours": 168}
    assert said == expected
    assert await web.viewer.ok("GET", RULE) == expected
    assert (await web.owner("PUT", RULE, {**given, "idleHours": None}))[1]["idleHours"] is None
    error = await web.owner.error("DELETE", "/api/orgs/acme/projects/storefront/envs/staging")
    assert error["code"] == "PRECONDITION_FAILED"
    assert (await web.owner("DELETE", RULE))[0] == 204
    assert (await web.owner("DELETE", RULE))[0] == 204
    await web.owner.ok("DELETE", "/api/orgs/acme/projects/storefront/envs/staging")
