"""Ways into the graph and along it: paths, ids, pages, matches."""

from __future__ import annotations

from sqlalchemy import select

from app.access.actor import Actor
from app.crypto import SecretBox
from app.db import Database
from app.models import (
    Deployment,
    DeploymentStatus,
    DeploymentTrigger,
    Instance,
    Membership,
    Push,
    PushStatus,
)
from tests.factories import make_build, make_instance, make_release
from tests.graphql.conftest import Api
from tests.services.conftest import World


async def test_a_path_leads_to_each_kind(api: Api, world: World) -> None:
    await world.app("web")
    answer = await api(
        """{ o: resource(path: "acme") { __typename id }
             p: resource(path: "/acme/storefront/") { __typename ... on Project { slug } }
             a: resource(path: "acme/storefront/web") { __typename ... on App { slug } }
             i: resource(path: "acme/storefront/web/production") { __typename
                  ... on Instance { app { slug } environment { slug } } }
             none: resource(path: "acme/storefront/api") { id }
             odd: resource(path: "acme//--help/é/x/y") { id } }""",
        as_=world.viewer,
    )
    assert answer["o"] == {"__typename": "Organization", "id": world.acme.id}
    assert answer["p"] == {"__typename": "Project", "slug": "storefront"}
    assert answer["a"] == {"__typename": "App", "slug": "web"}
    assert answer["i"]["app"] == {"slug": "web"}
    assert answer["i"]["environment"] == {"slug": "production"}
    assert answer["none"] is None
    assert answer["odd"] is None


async def test_nodes_come_in_the_order_asked_for(api: Api, world: World) -> None:
    app = await world.app("web")
    answer = await api(
        "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }",
        as_=world.viewer,
        ids=[app.id, "app_" + "0" * 26, world.acme.id, "nonsense", "", app.id],
    )
    assert [node and node["__typename"] for node in answer["nodes"]] == [
        "App",
        None,
        "Organization",
        None,
        None,
        "App",
    ]


async def test_every_kind_of_node_is_found_by_its_id(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await one_of_each(world, database, secret_box)
    answer = await api(
        "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }",
        as_=world.viewer,
        ids=list(ids.values()),
    )
    assert {node["__typename"]: node["id"] for node in answer["nodes"]} == ids


async def one_of_each(world: World, database: Database, box: SecretBox) -> dict[str, str]:
    """An id in acme by the name of its type; tokens aside, which only their own user sees."""
    placed = await make_instance(database, app="worker")
    build = await make_build(database, placed.app)
    release = await make_release(database, box, placed.instance, build)
    async with database.write_transaction() as session:
        instance = await session.get(Instance, placed.instance.id)
        assert instance is not None
        instance.deployment_count = 1
        push = Push(
            id="psh_" + "1" * 26,
            app_id=placed.app.id,
            ref="refs/heads/main",
            before_sha="0" * 40,
            after_sha="1" * 40,
            status=PushStatus.DEPLOYED,
        )
        session.add(push)
        await session.flush()
        deployment = Deployment(
            id="dep_" + "1" * 26,
            instance_id=placed.instance.id,
            number=1,
            status=DeploymentStatus.SUCCEEDED,
            trigger=DeploymentTrigger.GIT_PUSH,
            push_id=push.id,
            build_id=build.id,
            release_id=release.id,
        )
        session.add(deployment)
    members = await world_members(database, world)
    return {
        "Organization": world.acme.id,
        "Project": world.storefront.id,
        "Environment": placed.environment.id,
        "App": placed.app.id,
        "Instance": placed.instance.id,
        "Build": build.id,
        "Release": release.id,
        "Push": push.id,
        "Deployment": deployment.id,
        "Membership": members[0],
        "User": world.owner.user_id or "",
    }


async def world_members(database: Database, world: World) -> list[str]:
    async with database.read_session() as session:
        statement = select(Membership.id).where(Membership.organization_id == world.acme.id)
        return list(await session.scalars(statement))


async def test_pages_go_forward_to_the_end_and_back_again(api: Api, world: World) -> None:
    slugs = [f"app-{number}" for number in range(5)]
    for slug in reversed(slugs):
        await world.app(slug)
    document = """query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
      node(id: $id) { ... on Project { apps(first: $first, after: $after, last: $last, before: $before) {
        totalCount nodes { slug } edges { cursor node { slug } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } } }"""

    async def page(**arguments: object) -> tuple[list[str], dict[str, object]]:
        answer = await api(document, as_=world.viewer, id=world.storefront.id, **arguments)
        apps = answer["node"]["apps"]
        assert apps["totalCount"] == 5
        assert [edge["node"] for edge in apps["edges"]] == apps["nodes"]
        return [node["slug"] for node in apps["nodes"]], apps["pageInfo"]

    one, info = await page(first=2)
    assert (one, info["hasNextPage"], info["hasPreviousPage"]) == (slugs[:2], True, False)
    two, info = await page(first=2, after=info["endCursor"])
    assert (two, info["hasNextPage"], info["hasPreviousPage"]) == (slugs[2:4], True, True)
    three, info = await page(first=2, after=info["endCursor"])
    assert (three, info["hasNextPage"]) == (slugs[4:], False)
    back, info = await page(last=3, before=info["startCursor"])
    assert (back, info["hasPreviousPage"], info["hasNextPage"]) == (slugs[1:4], True, True)
    end, info = await page(last=2)
    assert (end, info["hasPreviousPage"], info["hasNextPage"]) == (slugs[3:], True, False)
    nothing, info = await page(first=0)
    assert (nothing, info["endCursor"], info["hasNextPage"]) == ([], None, True)


BAD_PAGES = [
    ("first: -1", "INVALID", "first"),
    ("first: 101", "LIMIT_REACHED", "first"),
    ("first: 1, last: 1", "INVALID", "last"),
    ('after: "not-a-cursor"', "INVALID", "after"),
    ('before: ""', "INVALID", "before"),
    ('after: "WyJwcm9qZWN0LnNsdWciLCJ3ZWIiXQ"', "INVALID", "after"),  # ["project.slug","web"]
    ('after: "WyJhcHAuc2x1ZyIsNV0"', "INVALID", "after"),  # ["app.slug",5]
    ('after: "WyJhcHAuc2x1ZyIsIlx1MDAwMCJd"', "INVALID", "after"),  # ["app.slug","\\u0000"]
]


async def test_a_page_that_cannot_be_says_which_argument_is_wrong(api: Api, world: World) -> None:
    for arguments, code, field in BAD_PAGES:
        errors = await api.errors(
            f'{{ resource(path: "acme/storefront") {{ ... on Project {{ apps({arguments}) {{ totalCount }} }} }} }}',
            as_=world.viewer,
        )
        found = [(e["extensions"]["code"], e["extensions"]["field"]) for e in errors]
        assert found == [(code, [field])], arguments


async def test_organizations_are_the_viewers_own_and_all_for_an_operator(
    api: Api, world: World, operator: Actor
) -> None:
    document = "{ organizations { totalCount nodes { slug viewerRole } } }"
    own = await api(document, as_=world.viewer)
    assert own["organizations"] == {
        "totalCount": 1,
        "nodes": [{"slug": "acme", "viewerRole": "VIEWER"}],
    }
    every = await api(document, as_=operator)
    assert every["organizations"]["nodes"] == [
        {"slug": "acme", "viewerRole": None},
        {"slug": "evil", "viewerRole": None},
    ]
    assert every["organizations"]["totalCount"] == 2


async def test_a_branch_is_told_where_it_would_go_and_why(api: Api, world: World) -> None:
    await world.environment("preview", pattern="feature/*")
    document = """query ($p: ID!, $b: String!) {
      branchMatch(projectId: $p, branch: $b) { environments { slug } pattern skipped reason } }"""
    matched = await api(document, as_=world.viewer, p=world.storefront.id, b="feature/x")
    assert matched["branchMatch"]["environments"] == [{"slug": "preview"}]
    assert matched["branchMatch"]["pattern"] == "feature/*"
    none = await api(document, as_=world.viewer, p=world.storefront.id, b="other")
    assert none["branchMatch"]["skipped"] is True
    assert "no environment deploys the branch 'other'" in none["branchMatch"]["reason"]
    unknown = await api(document, as_=world.stranger, p=world.storefront.id, b="main")
    assert unknown["branchMatch"] is None
    errors = await api.errors(document, as_=world.viewer, p=world.storefront.id, b="-x")
    assert errors[0]["extensions"]["code"] == "INVALID"


async def test_a_deleted_project_is_listed_only_when_asked_for(api: Api, world: World) -> None:
    await api(
        "mutation ($id: ID!) { projectDelete(id: $id) { project { deletedAt } } }",
        as_=world.owner,
        id=world.storefront.id,
    )
    answer = await api(
        """{ organization(slug: "acme") {
               without: projects { totalCount nodes { slug } }
               with: projects(includeDeleted: true) { totalCount nodes { slug } }
               project(slug: "storefront") { deletedAt } } }""",
        as_=world.viewer,
    )
    organization = answer["organization"]
    assert organization["without"] == {"totalCount": 0, "nodes": []}
    assert organization["with"] == {"totalCount": 1, "nodes": [{"slug": "storefront"}]}
    assert organization["project"]["deletedAt"] is not None


async def test_the_viewer_sees_own_name_and_tokens_and_no_secret(api: Api, world: World) -> None:
    answer = await api(
        "{ viewer { user { name isAdmin } token { name secretHint } tokens { nodes { name } } } }",
        as_=world.developer,
    )
    assert answer["viewer"]["user"] == {"name": "dora", "isAdmin": False}
    assert answer["viewer"]["token"]["secretHint"].startswith("paas_")
    assert answer["viewer"]["tokens"]["nodes"] == [{"name": "test"}]


async def test_server_info_says_how_names_are_spelled(api: Api, world: World) -> None:
    answer = await api("{ serverInfo { engine wildcardBase gitUrlTemplate } }", as_=world.viewer)
    assert answer["serverInfo"] == {
        "engine": "embedded",
        "wildcardBase": "apps.example.com",
        "gitUrlTemplate": "https://paas.example.com/git/{organization}/{project}/{app}.git",
    }
