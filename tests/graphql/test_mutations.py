"""Bad input is answered with a ``userErrors`` entry and loses nothing; each root field stands alone."""

from __future__ import annotations

import asyncio

import pytest

from app.crypto import SecretBox
from app.db import Database
from app.models import Instance, Organization
from tests.factories import make_instance
from tests.graphql.conftest import Api, OneCommit
from tests.graphql.test_access import MUTATIONS, OF_NOBODY, ids_of, mutation, rows_of
from tests.services.conftest import World

ERRORS = "userErrors { code message field hint }"

BAD = [
    ("organizationCreate", '(input: {slug: "acme"})', "TAKEN", ["slug"]),
    ("organizationCreate", '(input: {slug: "-x"})', "INVALID", ["slug"]),
    ("organizationCreate", '(input: {slug: "аcme"})', "INVALID", ["slug"]),
    ("organizationUpdate", '(id: "$Organization", input: {displayName: "a\\u202eb"})', "INVALID", ["displayName"]),
    ("organizationDelete", '(id: "$Organization", confirm: "acme ")', "INVALID", ["confirm"]),
    ("organizationDelete", '(id: "$Organization", confirm: "acme")', "PRECONDITION_FAILED", None),
    ("memberSet", '(input: {organizationId: "$Organization", user: "nobody", role: VIEWER})', "NOT_FOUND", ["user"]),
    ("memberSet", '(input: {organizationId: "$Organization", user: "olga", role: VIEWER})', "PRECONDITION_FAILED", None),
    ("memberRemove", '(organizationId: "$Organization", user: "mallory")', "NOT_FOUND", ["user"]),
    ("memberRemove", '(organizationId: "$Organization", user: "olga")', "PRECONDITION_FAILED", None),
    ("projectMemberSet", '(input: {projectId: "$Project", user: "nobody", role: VIEWER})', "NOT_FOUND", ["user"]),
    ("projectMemberRemove", '(projectId: "$Project", user: "mallory")', "NOT_FOUND", ["user"]),
    ("environmentProtect", '(id: "env_x", roles: [ADMIN])', "NOT_FOUND", None),
    ("projectCreate", '(input: {organizationId: "$Organization", slug: "storefront"})', "TAKEN", ["slug"]),
    ("projectCreate", '(input: {organizationId: "$Project", slug: "x"})', "NOT_FOUND", None),
    ("projectUpdate", '(id: "", input: {displayName: "x"})', "NOT_FOUND", None),
    ("projectDelete", '(id: "prj_x")', "NOT_FOUND", None),
    ("projectRestore", '(id: "$App")', "NOT_FOUND", None),
    ("environmentCreate", '(input: {projectId: "$Project", slug: "production", branchPattern: "x"})', "TAKEN", ["slug"]),
    ("environmentCreate", '(input: {projectId: "$Project", slug: "x", branchPattern: "a..b"})', "INVALID", ["branchPattern"]),
    ("environmentUpdate", '(id: "$Environment", input: {makeDefault: false})', "DEFAULT_ENVIRONMENT", ["makeDefault"]),
    ("environmentDelete", '(id: "$Environment", confirm: "production")', "DEFAULT_ENVIRONMENT", None),
    ("environmentDelete", '(id: "$Environment", confirm: "")', "INVALID", ["confirm"]),
    ("previewRuleSet", '(input: {projectId: "$Project", branchPattern: "main", sourceEnvironmentId: "$Environment"})', "INVALID", ["branchPattern"]),
    ("previewRuleSet", '(input: {projectId: "$Project", branchPattern: "x-*", sourceEnvironmentId: "$Environment", maxEnvironments: 51})', "LIMIT_REACHED", ["maxEnvironments"]),
    ("previewRuleSet", '(input: {projectId: "$Project", branchPattern: "x-*", sourceEnvironmentId: "$Environment", idleHours: -1})', "INVALID", ["idleHours"]),
    ("previewRuleSet", '(input: {projectId: "$Project", branchPattern: "x-*", sourceEnvironmentId: "env_x"})', "NOT_FOUND", None),
    ("previewRuleSet", '(input: {projectId: "$Project", branchPattern: "x-*", sourceEnvironmentId: "$Environment", slugTemplate: "x"})', "INVALID", ["slugTemplate"]),
    ("previewRuleUnset", '(projectId: "$Environment")', "NOT_FOUND", None),
    ("webhookCreate", '(input: {organizationId: "$Organization", url: "http://example.com/"})', "INVALID", ["url"]),
    ("webhookCreate", '(input: {organizationId: "$Organization", url: "https://a:b@example.com/"})', "INVALID", ["url"]),
    ("webhookCreate", '(input: {organizationId: "$Organization", projectId: "prj_x", url: "https://example.com/"})', "NOT_FOUND", None),
    ("webhookUpdate", '(id: "$Webhook", input: {url: "javascript:alert(1)"})', "INVALID", ["url"]),
    ("webhookDelete", '(id: "whk_x")', "NOT_FOUND", None),
    ("webhookTest", '(id: "$App")', "NOT_FOUND", None),
    ("webhookDeliveryRetry", '(id: "$Webhook")', "NOT_FOUND", None),
    ("appRemoteSet", '(input: {appId: "$App", host: GITHUB, url: "ssh://git@example.com/a/b"})', "INVALID", ["url"]),
    ("appRemoteSet", '(input: {appId: "$App", host: GITHUB, url: "file:///etc"})', "INVALID", ["url"]),
    ("appRemoteSet", '(input: {appId: "$App", host: GITLAB, url: "https://example.com/a/b", reportStatuses: true})', "INVALID", ["reportStatuses"]),
    ("appRemoteSet", '(input: {appId: "$App", host: GITEA, url: "https://example.com/a/b", token: "a b"})', "INVALID", ["token"]),
    ("appRemoteUnset", '(appId: "app_x")', "NOT_FOUND", None),
    ("appCreate", '(input: {projectId: "$Project", slug: "worker"})', "TAKEN", ["slug"]),
    ("appCreate", '(input: {projectId: "$Project", slug: "x", containerPort: 0})', "INVALID", ["containerPort"]),
    ("appUpdate", '(id: "$App", input: {containerPort: 65536})', "INVALID", ["containerPort"]),
    ("appDelete", '(id: "$App", confirm: "other")', "INVALID", ["confirm"]),
    ("envVarsSet", '(instanceId: "$Instance", input: {vars: []})', "INVALID", ["vars"]),
    ("envVarsSet", '(instanceId: "$Instance", input: {vars: [{name: "A", value: "1"}, {name: "A", value: "2"}]})', "INVALID", ["vars"]),
    ("envVarsSet", '(instanceId: "$Instance", input: {vars: [{name: "A", value: "1"}, {name: "1A", value: "hunter2"}]})', "INVALID", ["name"]),
    ("envVarsSet", f'(instanceId: "$Instance", input: {{vars: [{{name: "A", value: "{"x" * 40_000}"}}]}})', "LIMIT_REACHED", ["A"]),
    ("envVarsUnset", '(instanceId: "$Instance", names: ["KEY", "NONE"])', "NOT_FOUND", ["name"]),
    ("scaleUpdate", '(instanceId: "$Instance", input: {})', "INVALID", None),
    ("scaleUpdate", '(instanceId: "$Instance", input: {replicas: 2, cpuMillis: -1})', "INVALID", ["cpuMillis"]),
    ("instanceApply", '(id: "ins_x")', "NOT_FOUND", None),
    ("deploymentCreate", '(input: {instanceId: "$Instance", ref: "--upload-pack=x"})', "NOT_FOUND", ["ref"]),
    ("deploymentCreate", '(input: {instanceId: "$Instance", commitSha: "HEAD~1"})', "NOT_FOUND", ["commitSha"]),
    ("branchDeploy", '(appId: "$App", branch: "a b")', "INVALID", ["branch"]),
    ("deploymentCancel", '(id: "$Deployment")', "PRECONDITION_FAILED", None),
    ("deploymentRollback", '(id: "$Deployment")', "PRECONDITION_FAILED", None),
    ("deploymentPromote", '(id: "$Deployment", toEnvironmentId: "$Environment")', "INVALID", ["environment"]),
    ("tokenCreate", '(input: {name: "x", expiresAt: "2020-01-01T00:00:00Z"})', "INVALID", ["expiresAt"]),
    ("tokenCreate", '(input: {name: "x", expiresAt: "2100-01-01T00:00:00"})', "INVALID", ["expiresAt"]),
    ("quotaSet", '(input: {apps: 1})', "FORBIDDEN", None),
    ("tokenRevoke", '(id: "tok_x")', "NOT_FOUND", None),
    ("memberInvite", '(input: {organizationId: "$Organization", email: "x", role: VIEWER})', "INVALID", ["email"]),
    ("memberInvite", '(input: {organizationId: "org_x", email: "x@x.org", role: VIEWER})', "NOT_FOUND", None),
    ("memberInvite", '(input: {organizationId: "$Organization", projectId: "$App", email: "x@x.org", role: VIEWER})', "NOT_FOUND", None),
    ("invitationRevoke", '(id: "$Organization")', "NOT_FOUND", None),
    ("invitationAccept", '(secret: "paasi_x")', "NOT_FOUND", ["invitation"]),
    ("passwordChange", '(currentPassword: "x", newPassword: "a good new password")', "PRECONDITION_FAILED", None),
    ("sessionRevoke", '(id: "$Organization")', "NOT_FOUND", None),
    ("identityUnlink", '(id: "idn_x")', "NOT_FOUND", None),
]  # fmt: skip


def test_every_mutation_is_given_something_bad() -> None:
    assert {name for name, *_ in BAD} == set(MUTATIONS) | OF_NOBODY


async def test_bad_input_is_a_user_error_and_changes_nothing(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await ids_of(world, database, secret_box)
    await api(
        'mutation ($i: ID!) { envVarsSet(instanceId: $i, input: {vars: [{name: "KEY", value: "v"}], deploy: false}) { userErrors { code } } }',
        as_=world.owner,
        i=ids["Instance"],
    )
    before = await rows_of(database)
    for name, arguments, code, field in BAD:
        for kind, identifier in ids.items():
            arguments = arguments.replace(f'"${kind}"', f'"{identifier}"')
        response = await api.post(
            f"mutation {{ {name}{arguments} {{ {ERRORS} }} }}", as_=world.owner
        )
        case = f"{name}{arguments[:200]}: {response.text[:500]}"
        assert "errors" not in response.json(), case
        (error,) = response.json()["data"][name]["userErrors"]
        assert (error["code"], error["field"]) == (code, field), case
        assert error["message"].endswith("."), case
        assert "hunter2" not in response.text, case
    assert await rows_of(database) == before


async def test_of_two_mutations_in_one_request_the_failed_one_takes_nothing_with_it(
    api: Api, world: World
) -> None:
    answer = await api(
        """mutation {
             one: organizationCreate(input: {slug: "one"}) { organization { slug } userErrors { code } }
             bad: organizationCreate(input: {slug: "acme"}) { organization { slug } userErrors { code } }
             two: organizationCreate(input: {slug: "two"}) { organization { slug } userErrors { code } } }""",
        as_=world.owner,
    )
    assert answer["one"] == {"organization": {"slug": "one"}, "userErrors": []}
    assert answer["bad"] == {"organization": None, "userErrors": [{"code": "TAKEN"}]}
    assert answer["two"] == {"organization": {"slug": "two"}, "userErrors": []}
    listed = await api("{ organizations { nodes { slug } } }", as_=world.owner)
    assert [node["slug"] for node in listed["organizations"]["nodes"]] == ["acme", "one", "two"]


async def test_a_mutation_shows_what_it_changed_and_not_what_was_read_before_it(
    api: Api, world: World
) -> None:
    answer = await api(
        """mutation ($p: ID!) {
             one: appCreate(input: {projectId: $p, slug: "one"}) { app { project { apps { totalCount } } } }
             two: appCreate(input: {projectId: $p, slug: "two"}) { app { project { apps { totalCount } } } } }""",
        as_=world.owner,
        p=world.storefront.id,
    )
    assert answer["one"]["app"]["project"]["apps"]["totalCount"] == 1
    assert answer["two"]["app"]["project"]["apps"]["totalCount"] == 2


async def test_the_same_slug_created_at_once_is_taken_by_one(
    api: Api, world: World, database: Database
) -> None:
    await api.token_of(world.owner)
    document = 'mutation { organizationCreate(input: {slug: "race"}) { organization { id } userErrors { code } } }'
    answers = await asyncio.gather(*(api(document, as_=world.owner) for _ in range(5)))
    codes = [[e["code"] for e in answer["organizationCreate"]["userErrors"]] for answer in answers]
    assert sorted(codes) == [[], ["TAKEN"], ["TAKEN"], ["TAKEN"], ["TAKEN"]]


async def test_an_empty_organization_is_deleted_when_its_name_is_given(
    api: Api, world: World, database: Database
) -> None:
    created = await api(
        'mutation { organizationCreate(input: {slug: "gone"}) { organization { id } } }',
        as_=world.owner,
    )
    identifier = created["organizationCreate"]["organization"]["id"]
    answer = await api(
        """mutation ($id: ID!) { organizationDelete(id: $id, confirm: "gone") {
             organization { slug } userErrors { code } } }""",
        as_=world.owner,
        id=identifier,
    )
    assert answer["organizationDelete"] == {"organization": {"slug": "gone"}, "userErrors": []}
    async with database.read_session() as session:
        assert await session.get(Organization, identifier) is None


async def test_staged_changes_go_out_as_one_deployment(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await ids_of(world, database, secret_box)
    answer = await api(
        """mutation ($i: ID!) {
             vars: envVarsSet(instanceId: $i, input: {vars: [{name: "A", value: "1"}], deploy: false}) { deployment { id } }
             scale: scaleUpdate(instanceId: $i, input: {replicas: 2, deploy: false}) { deployment { id } }
             apply: instanceApply(id: $i) {
               deployment { number trigger status build { id } desiredReplicas }
               instance { stagedChanges { variables { name kind } settings { name before after } } }
               userErrors { message } } }""",
        as_=world.developer,
        i=ids["Instance"],
    )
    assert answer["vars"]["deployment"] is None
    assert answer["scale"]["deployment"] is None
    deployment = answer["apply"]["deployment"]
    assert deployment["trigger"] == "CONFIG_CHANGE"
    assert deployment["desiredReplicas"] == 2
    assert deployment["build"] == {"id": ids["Build"]}
    staged = answer["apply"]["instance"]["stagedChanges"]
    assert staged["variables"] == [{"name": "A", "kind": "ADDED"}]
    assert staged["settings"] == [{"name": "replicas", "before": 1, "after": 2}]


async def test_a_deployment_is_promoted_and_rolled_back_without_a_build(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await ids_of(world, database, secret_box)
    staging = await make_instance(database, app="worker", environment="staging")
    answer = await api(
        """mutation ($d: ID!, $e: ID!) { deploymentPromote(id: $d, toEnvironmentId: $e) {
             deployment { trigger build { id } source { id } instance { environment { slug } } }
             userErrors { message } } }""",
        as_=world.developer,
        d=ids["Deployment"],
        e=staging.environment.id,
    )
    assert answer["deploymentPromote"]["deployment"] == {
        "trigger": "PROMOTION",
        "build": {"id": ids["Build"]},
        "source": {"id": ids["Deployment"]},
        "instance": {"environment": {"slug": "staging"}},
    }
    async with database.write_transaction() as session:
        instance = await session.get(Instance, ids["Instance"])
        assert instance is not None
        instance.current_release_id = None
    answer = await api(
        """mutation ($d: ID!) { deploymentRollback(id: $d) {
             deployment { trigger build { id } source { id canRollBackTo } } userErrors { message } } }""",
        as_=world.developer,
        d=ids["Deployment"],
    )
    assert answer["deploymentRollback"]["deployment"]["trigger"] == "ROLLBACK"
    assert answer["deploymentRollback"]["deployment"]["source"]["canRollBackTo"] is True


async def test_a_branch_is_deployed_where_it_matches_or_skipped_with_the_reason(
    api: Api, world: World, repositories: OneCommit
) -> None:
    app = await world.app("web")
    await world.environment("mirror", pattern="main")
    document = """mutation ($a: ID!, $b: String!) { branchDeploy(appId: $a, branch: $b) {
        skipped reason deployments { ref instance { environment { slug } } } userErrors { code field } } }"""
    deployed = (await api(document, as_=world.developer, a=app.id, b="main"))["branchDeploy"]
    assert deployed["skipped"] is False
    assert {each["instance"]["environment"]["slug"] for each in deployed["deployments"]} == {
        "production",
        "mirror",
    }
    skipped = (await api(document, as_=world.developer, a=app.id, b="other"))["branchDeploy"]
    assert (skipped["skipped"], skipped["deployments"], skipped["userErrors"]) == (True, [], [])
    assert "no environment deploys the branch 'other'" in skipped["reason"]


async def test_a_deleted_project_takes_no_changes_until_it_is_restored(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await ids_of(world, database, secret_box)
    await api(mutation("projectDelete", ids), as_=world.owner)
    for name in (
        "appCreate",
        "environmentUpdate",
        "envVarsSet",
        "deploymentCreate",
        "branchDeploy",
    ):
        answer = await api(mutation(name, ids), as_=world.owner)
        assert [e["code"] for e in answer[name]["userErrors"]] == ["PRECONDITION_FAILED"], name
    await api(mutation("projectRestore", ids), as_=world.owner)
    answer = await api(mutation("appCreate", ids), as_=world.owner)
    assert answer["appCreate"]["userErrors"] == []


@pytest.mark.parametrize("name", ["environmentDelete", "appDelete"])
async def test_what_is_being_torn_down_is_shown_by_its_deletion_and_found_no_more(
    api: Api, world: World, database: Database, secret_box: SecretBox, name: str
) -> None:
    await make_instance(database, app="worker", environment="staging")
    path = "staging" if name == "environmentDelete" else "worker"
    kind = "environment" if name == "environmentDelete" else "app"
    found = await api(
        f'{{ resource(path: "acme/storefront") {{ ... on Project {{ {kind}(slug: "{path}") {{ id }} }} }} }}',
        as_=world.owner,
    )
    identifier = found["resource"][kind]["id"]
    answer = await api(
        f'mutation {{ {name}(id: "{identifier}", confirm: "{path}") {{ {kind} {{ slug deletedAt }} userErrors {{ message }} }} }}',
        as_=world.owner,
    )
    assert answer[name][kind]["deletedAt"] is not None
    again = await api(
        f"""{{ node(id: "{identifier}") {{ id }}
               resource(path: "acme/storefront") {{ ... on Project {{ {kind}(slug: "{path}") {{ id }} }} }}
               gone: resource(path: "acme/storefront/worker/staging") {{ id }} }}""",
        as_=world.owner,
    )
    assert again == {"node": None, "resource": {kind: None}, "gone": None}
