"""The product specification's curl examples, in its order and with its bodies, byte for byte."""

from __future__ import annotations

import pytest

from app.access.actor import OPERATOR
from app.projects import queries as project_queries
from tests.factories import make_build, make_release
from tests.rest.conftest import Api, Client

PROJECTS = "/api/orgs/acme/projects/"
STOREFRONT = "/api/orgs/acme/projects/storefront"
JSON = {"Content-Type": "application/json"}


async def _curl(client: Client, method: str, path: str, body: bytes) -> dict[str, object]:
    status, answer = await client(method, path, raw=body, headers=JSON)
    assert status < 300, answer
    return answer


async def test_the_whole_story_of_the_specification(api: Api) -> None:
    curl = api.developer
    curl.secret = api.owner.secret
    assert await curl.ok("GET", PROJECTS) == {"projects": []}

    project = await _curl(
        curl, "POST", PROJECTS, b'{"slug":"storefront","displayName":"Storefront"}'
    )
    assert (project["slug"], project["displayName"]) == ("storefront", "Storefront")
    [production] = (await curl.ok("GET", STOREFRONT + "/envs/"))["environments"]
    assert (production["slug"], production["branchPattern"]) == ("production", "main")

    staging = await _curl(
        curl,
        "POST",
        STOREFRONT + "/envs/",
        b'{"slug":"staging","displayName":"Staging","branchPattern":"staging","makeDefault":false}',
    )
    assert (staging["branchPattern"], staging["isDefault"]) == ("staging", False)

    app = await _curl(
        curl,
        "POST",
        STOREFRONT + "/apps/",
        b'{"slug":"web","displayName":"Web","containerPort":8080}',
    )
    assert app["gitUrl"] == "https://paas.example.com/git/acme/storefront/web.git"
    shown = await curl.ok("GET", STOREFRONT + "/apps/web")
    assert [i["url"] for i in shown["instances"]] == [
        "http://acme.storefront-web-production.apps.example.com",
        "http://acme.storefront-web-staging.apps.example.com",
    ]

    variable = STOREFRONT + "/apps/web/envs/staging/env-vars/DATABASE_DEBUG"
    await _curl(curl, "PUT", variable, b'{"value":"true"}')
    assert (await curl.ok("GET", variable))["value"] == "true"
    elsewhere = await curl.ok("GET", STOREFRONT + "/apps/web/envs/production/env-vars/")
    assert elsewhere == {"envVars": []}

    scale = STOREFRONT + "/apps/web/envs/production/scale"
    await _curl(curl, "PATCH", scale, b'{"replicas":3,"cpuMillis":1000,"memoryMb":512}')
    assert await curl.ok("GET", scale) == {"replicas": 3, "cpuMillis": 1000, "memoryMb": 512}
    other = await curl.ok("GET", STOREFRONT + "/apps/web/envs/staging/scale")
    assert other["replicas"] == 1

    refused = await curl.error("DELETE", STOREFRONT + "/envs/production")
    assert (refused["status"], refused["code"]) == (409, "DEFAULT_ENVIRONMENT")
    assert '{"makeDefault": true}' in refused["hint"]
    await _curl(curl, "PATCH", STOREFRONT + "/envs/staging", b'{"makeDefault":true}')
    await curl.ok("DELETE", STOREFRONT + "/envs/production")

    deleted = await curl.ok("DELETE", STOREFRONT)
    assert deleted["deletedAt"] is not None
    assert await curl.ok("GET", PROJECTS) == {"projects": []}
    assert len((await curl.ok("GET", PROJECTS + "?includeDeleted=true"))["projects"]) == 1
    restored = await curl.ok("POST", STOREFRONT + "/restore")
    assert restored["deletedAt"] is None


@pytest.mark.parametrize("path", ["/api/orgs", "/api/orgs/acme/projects", STOREFRONT + "/apps"])
async def test_a_path_is_the_same_with_and_without_its_slash(web: Api, path: str) -> None:
    assert await web.owner.ok("GET", path) == await web.owner.ok("GET", path + "/")


async def test_organizations_from_their_creation_to_their_end(api: Api) -> None:
    client = api.stranger
    created = await client.ok("POST", "/api/orgs/", {"slug": "initech"})
    assert created["displayName"] == "initech"
    assert (await client.ok("GET", "/api/orgs/initech"))["yourRole"] == "owner"
    renamed = await client.ok("PATCH", "/api/orgs/initech", {"displayName": "Initech Inc."})
    assert renamed["displayName"] == "Initech Inc."
    member = await client.ok("PUT", "/api/orgs/initech/members/vera", {"role": "viewer"})
    assert member["role"] == "viewer"
    listed = await client.ok("GET", "/api/orgs/initech/members/")
    assert [m["user"] for m in listed["members"]] == ["mallory", "vera"]
    await client.ok("DELETE", "/api/orgs/initech/members/vera")
    await client.ok("POST", "/api/orgs/initech/projects/", {"slug": "p"})
    assert (await client.error("DELETE", "/api/orgs/initech"))["code"] == "PRECONDITION_FAILED"
    async with api.wiring.database.write_transaction() as session:
        from app.access import find

        project = await find.project(session, OPERATOR, slugs=("initech", "p"))
        await session.delete(await project_queries.lock(session, project.id))
    assert (await client("DELETE", "/api/orgs/initech"))[0] == 204
    assert (await client.error("GET", "/api/orgs/initech"))["status"] == 404


async def test_apps_and_environments_change_their_names_and_not_their_slugs(web: Api) -> None:
    app = STOREFRONT + "/apps/web"
    changed = await web.owner.ok("PATCH", app, {"displayName": "Shop", "containerPort": 9000})
    assert (changed["displayName"], changed["containerPort"], changed["slug"]) == (
        "Shop",
        9000,
        "web",
    )
    assert (await web.owner.error("PATCH", app, {"slug": "shop"}))["field"] == "slug"
    env = await web.owner.ok("PATCH", STOREFRONT + "/envs/staging", {"branchPattern": "stage/*"})
    assert (env["branchPattern"], env["displayName"]) == ("stage/*", "staging")
    assert (await web.owner.ok("GET", STOREFRONT + "/envs/staging"))["branchPattern"] == "stage/*"
    project = await web.owner.ok("PATCH", STOREFRONT, {"displayName": "Store"})
    assert project["displayName"] == "Store"
    assert (await web.owner("DELETE", app))[0] == 202
    assert (await web.owner.error("GET", app))["status"] == 404


async def test_changes_are_staged_seen_and_applied_as_one(web: Api) -> None:
    one = STOREFRONT + "/apps/web/envs/production"
    await _release(web)
    for name in ("A", "B"):
        set_ = await web.developer.ok(
            "PUT", f"{one}/env-vars/{name}", {"value": "1", "deploy": False}
        )
        assert set_["deployment"] is None
    await web.developer.ok("PATCH", one + "/scale", {"replicas": 2, "deploy": False})
    await web.developer.ok("DELETE", one + "/env-vars/B?deploy=false")
    pending = await web.viewer.ok("GET", one + "/pending-changes")
    assert pending == {
        "released": True,
        "needsBuild": False,
        "envVars": [{"name": "A", "change": "added", "isBuild": False}],
        "settings": [{"name": "replicas", "before": 1, "after": 2}],
    }
    applied = await web.developer.ok("POST", one + "/pending-changes/apply")
    assert applied["deployment"]["trigger"] == "config_change"
    listed = await web.viewer.ok("GET", one + "/deployments/")
    assert [row["id"] for row in listed["deployments"]] == [applied["deployment"]["id"]]


async def test_setting_a_variable_deploys_it(web: Api) -> None:
    await _release(web)
    one = STOREFRONT + "/apps/web/envs/production"
    answer = await web.developer.ok("PUT", one + "/env-vars/A", {"value": "1"})
    assert answer["deployment"]["status"] == "queued"
    assert (await web.developer.ok("PATCH", one + "/scale", {"replicas": 2}))["deployment"][
        "number"
    ] == 2
    assert (await web.developer.ok("DELETE", one + "/env-vars/A"))["deployment"]["number"] == 3
    assert (await web.developer.error("DELETE", one + "/env-vars/A"))["status"] == 404
    assert (await web.developer.error("GET", one + "/env-vars/A"))["status"] == 404


async def _release(api: Api) -> None:
    from app.access import find

    async with api.wiring.database.read_session() as session:
        slugs = ("acme", "storefront", "web", "production")
        app = await find.app(session, OPERATOR, slugs=slugs[:3])
        instance = await find.instance(session, OPERATOR, slugs=slugs)
    build = await make_build(api.wiring.database, app)
    await make_release(api.wiring.database, api.wiring.secret_box, instance, build)


async def test_tokens_are_made_shown_once_and_revoked(api: Api) -> None:
    created = await api.owner.ok("POST", "/api/tokens/", {"name": "ci"})
    other = Client(api.http, created["secret"])
    assert (await other.ok("GET", "/api/orgs/"))["organizations"][0]["slug"] == "acme"
    listed = await api.owner.ok("GET", "/api/tokens/")
    assert [token["name"] for token in listed["tokens"]] == ["ci", "test"]
    assert created["secret"] not in str(listed)
    token = f"/api/tokens/{created['token']['id']}"
    assert (await api.stranger.error("DELETE", token))["status"] == 404
    assert (await api.owner("DELETE", token))[0] == 204
    assert (await other.error("GET", "/api/orgs/"))["status"] == 401
