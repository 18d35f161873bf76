"""Deployments over REST: by branch, by commit, cancelled, rolled back, promoted, and their logs."""

from __future__ import annotations

from app.access import find
from app.access.actor import OPERATOR
from app.models import BuildLogLine, Deployment, DeploymentStatus, Release
from tests.factories import make_build, make_release
from tests.rest.conftest import Api

APP = "/api/orgs/acme/projects/storefront/apps/web"
PRODUCTION = APP + "/envs/production/deployments/"
STAGING = APP + "/envs/staging/deployments/"


async def _succeeded(api: Api, number: int, *, current: bool = False) -> Release:
    """As if the reconciler had rolled this deployment of production out."""
    database = api.wiring.database
    async with database.read_session() as session:
        app = await find.app(session, OPERATOR, slugs=("acme", "storefront", "web"))
        deployment = await find.deployment(
            session,
            OPERATOR,
            slugs=("acme", "storefront", "web", "production"),
            number=number,
        )
        instance = await find.instance(session, OPERATOR, id=deployment.instance_id)
    build = await make_build(database, app, commit_sha=deployment.commit_sha or "")
    release = await make_release(
        database, api.wiring.secret_box, instance, build, env={"N": str(number)}, current=current
    )
    async with database.write_transaction() as session:
        row = await session.get_one(Deployment, deployment.id)
        row.status, row.release_id = DeploymentStatus.SUCCEEDED, release.id
        row.build_id = build.id
    return release


async def test_a_branch_that_matches_no_environment_is_skipped_and_told_why(web: Api) -> None:
    web.commits.add("feature/x")
    answer = await web.developer.ok("POST", APP + "/deployments/", {"ref": "feature/x"})
    assert list(answer) == ["skipped", "reason"]
    assert answer["skipped"] is True
    assert "feature/x" in answer["reason"]
    assert (await web.developer.ok("GET", PRODUCTION))["deployments"] == []


async def test_a_branch_deploys_to_every_environment_that_holds_its_pattern(web: Api) -> None:
    sha = web.commits.add("main")
    envs = "/api/orgs/acme/projects/storefront/envs/"
    await web.owner.ok("POST", envs, {"slug": "eu", "branchPattern": "main"})
    await web.owner.ok("POST", envs, {"slug": "rest", "branchPattern": "*"})
    answer = await web.developer.ok("POST", APP + "/deployments/", {"ref": "refs/heads/main"})
    assert list(answer) == ["deployments"]
    assert sorted(row["environment"] for row in answer["deployments"]) == ["eu", "production"]
    assert {row["commitSha"] for row in answer["deployments"]} == {sha}
    assert {row["status"] for row in answer["deployments"]} == {"queued"}


async def test_a_commit_or_branch_that_is_not_there_is_not_found(web: Api) -> None:
    for body in ({"ref": "gone"}, {"commitSha": "f" * 40}):
        assert (await web.developer.error("POST", PRODUCTION, body))["status"] == 404
    missing = await web.developer.error("POST", APP + "/deployments/", {"ref": "main"})
    assert missing["status"] == 404


async def test_a_ref_that_is_none_is_refused(web: Api) -> None:
    for ref in ("", "\0", "refs/tags/v1", "refs/heads/", "x" * 2000):
        error = await web.developer.error("POST", APP + "/deployments/", {"ref": ref})
        assert (error["status"], error["field"]) == (422, "ref")


async def test_a_deployment_is_listed_shown_and_cancelled(web: Api) -> None:
    web.commits.add("main", "Say hello")
    created = await web.developer.ok("POST", PRODUCTION, {"ref": "main"})
    assert (created["number"], created["commitMessage"]) == (1, "Say hello")
    shown = await web.viewer.ok("GET", PRODUCTION + "1")
    assert shown.pop("steps") == []
    assert shown == created
    await web.developer.ok("POST", PRODUCTION, {})
    listed = await web.viewer.ok("GET", PRODUCTION + "?limit=1")
    assert [row["number"] for row in listed["deployments"]] == [2]
    older = await web.viewer.ok("GET", PRODUCTION + "?before=2")
    assert [row["number"] for row in older["deployments"]] == [1]
    await web.developer.ok("POST", PRODUCTION + "1/cancel")
    async with web.wiring.database.read_session() as session:
        assert (await session.get_one(Deployment, created["id"])).cancel_requested_at


async def test_a_rollback_deploys_the_old_release_and_makes_it_desired(web: Api) -> None:
    web.commits.add("main")
    for _ in range(2):
        await web.developer.ok("POST", PRODUCTION, {"ref": "main"})
    first = await _succeeded(web, 1)
    await _succeeded(web, 2, current=True)
    running = await web.developer.error("POST", PRODUCTION + "2/rollback")
    assert running["code"] == "PRECONDITION_FAILED"
    rolled = await web.developer.ok("POST", PRODUCTION + "1/rollback")
    assert (rolled["trigger"], rolled["buildId"]) == ("rollback", first.build_id)
    variables = await web.developer.ok("GET", APP + "/envs/production/env-vars/")
    assert {v["name"]: v["value"] for v in variables["envVars"]} == {"N": "1"}
    back = await web.developer.ok("POST", PRODUCTION + "2/rollback")
    assert back["number"] == 4, "what runs can be gone back to while something newer is under way"


async def test_a_promotion_deploys_the_same_build_elsewhere(web: Api) -> None:
    web.commits.add("main")
    await web.developer.ok("POST", PRODUCTION, {"ref": "main"})
    too_early = await web.developer.error(
        "POST", PRODUCTION + "1/promote", {"toEnvironment": "staging"}
    )
    assert too_early["code"] == "PRECONDITION_FAILED"
    release = await _succeeded(web, 1, current=True)
    promoted = await web.developer.ok(
        "POST", PRODUCTION + "1/promote", {"toEnvironment": "staging"}
    )
    assert (promoted["environment"], promoted["trigger"]) == ("staging", "promotion")
    assert promoted["buildId"] == release.build_id
    assert (await web.viewer.ok("GET", STAGING + "1"))["id"] == promoted["id"]
    nowhere = await web.developer.error(
        "POST", PRODUCTION + "1/promote", {"toEnvironment": "nowhere"}
    )
    assert nowhere["status"] == 404


async def test_a_builds_log_is_read_in_pages(web: Api) -> None:
    web.commits.add("main")
    await web.developer.ok("POST", PRODUCTION, {"ref": "main"})
    assert await web.viewer.ok("GET", PRODUCTION + "1/build-log") == {"buildId": None, "lines": []}
    release = await _succeeded(web, 1)
    async with web.wiring.database.write_transaction() as session:
        for number in (1, 2, 3):
            session.add(
                BuildLogLine(build_id=release.build_id, number=number, text=f"line {number}")
            )
    page = await web.viewer.ok("GET", PRODUCTION + "1/build-log?after=1&limit=1")
    assert [line["text"] for line in page["lines"]] == ["line 2"]
    wrong = await web.viewer.error("GET", PRODUCTION + "1/build-log?limit=100000")
    assert "5000" in wrong["message"]


async def test_what_is_no_number_is_not_found(web: Api) -> None:
    for number in ("0", "7", "-1", "x", "\u0661", "9" * 40, "1%00"):
        assert (await web.owner.error("GET", PRODUCTION + number))["status"] == 404


async def test_a_viewer_and_a_stranger_deploy_nothing(web: Api) -> None:
    web.commits.add("main")
    for path in (PRODUCTION, APP + "/deployments/"):
        assert (await web.viewer.error("POST", path, {"ref": "main"}))["code"] == "FORBIDDEN"
        assert (await web.stranger.error("POST", path, {"ref": "main"}))["code"] == "NOT_FOUND"


async def test_a_deleted_project_deploys_nothing(web: Api) -> None:
    web.commits.add("main")
    await web.owner.ok("DELETE", "/api/orgs/acme/projects/storefront")
    for path in (PRODUCTION, APP + "/deployments/"):
        error = await web.developer.error("POST", path, {"ref": "main"})
        assert (error["status"], error["code"]) == (409, "PRECONDITION_FAILED")
