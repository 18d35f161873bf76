"""From nothing to a deployment, in GraphQL alone: the API's usage example."""

from __future__ import annotations

from tests.graphql.conftest import SHA, Api
from tests.services.conftest import World


async def test_from_nothing_to_a_queued_deployment(api: Api, world: World) -> None:
    created = await api(
        """mutation { organizationCreate(input: {slug: "globex", displayName: "Globex"}) {
             organization { id slug viewerRole } userErrors { code } } }""",
        as_=world.owner,
    )
    organization = created["organizationCreate"]["organization"]
    assert organization["viewerRole"] == "OWNER"

    created = await api(
        """mutation ($organization: ID!) {
             projectCreate(input: {organizationId: $organization, slug: "shop"}) {
               project { id displayName defaultEnvironment { slug branchPattern isDefault } }
               userErrors { message } } }""",
        as_=world.owner,
        organization=organization["id"],
    )
    project = created["projectCreate"]["project"]
    assert project["defaultEnvironment"] == {
        "slug": "production",
        "branchPattern": "main",
        "isDefault": True,
    }

    created = await api(
        """mutation ($project: ID!) {
             environmentCreate(input: {projectId: $project, slug: "staging", branchPattern: "staging"}) {
               environment { id slug isDefault } userErrors { message } }
             appCreate(input: {projectId: $project, slug: "web"}) {
               app { gitRemoteUrl instances { totalCount nodes { id hostname url environment { slug } } } }
               userErrors { message } } }""",
        as_=world.owner,
        project=project["id"],
    )
    app = created["appCreate"]["app"]
    assert app["gitRemoteUrl"] == "https://paas.example.com/git/globex/shop/web.git"
    assert app["instances"]["totalCount"] == 2
    production = app["instances"]["nodes"][0]
    assert production["environment"] == {"slug": "production"}
    assert production["url"] == "http://globex.shop-web-production.apps.example.com:7080"

    staged = await api(
        """mutation ($instance: ID!) {
             envVarsSet(instanceId: $instance, input: {vars: [{name: "LOG_LEVEL", value: "debug"}]}) {
               deployment { id } userErrors { message } }
             scaleUpdate(instanceId: $instance, input: {replicas: 3}) {
               instance {
                 scale { replicas cpuMillis memoryMb }
                 envVars { name value isBuild }
                 stagedChanges { variables { name kind } settings { name before after } needsBuild } }
               deployment { id } userErrors { message } } }""",
        as_=world.owner,
        instance=production["id"],
    )
    assert staged["envVarsSet"]["deployment"] is None
    instance = staged["scaleUpdate"]["instance"]
    assert instance["scale"] == {"replicas": 3, "cpuMillis": 200, "memoryMb": 256}
    assert instance["envVars"] == [{"name": "LOG_LEVEL", "value": "debug", "isBuild": False}]
    assert instance["stagedChanges"]["variables"] == [{"name": "LOG_LEVEL", "kind": "ADDED"}]
    assert {"name": "replicas", "before": None, "after": 3} in instance["stagedChanges"]["settings"]

    deployed = await api(
        """mutation ($instance: ID!) {
             deploymentCreate(input: {instanceId: $instance, ref: "main"}) {
               deployment {
                 number status trigger ref commitSha commitMessage creator { name } canCancel
                 canRollBackTo steps { phase } buildLog { nodes { message } } failure { code } }
               userErrors { message } } }""",
        as_=world.owner,
        instance=production["id"],
    )
    assert deployed["deploymentCreate"]["deployment"] == {
        "number": 1,
        "status": "QUEUED",
        "trigger": "API",
        "ref": "main",
        "commitSha": SHA,
        "commitMessage": "First",
        "creator": {"name": "olga"},
        "canCancel": True,
        "canRollBackTo": False,
        "steps": [],
        "buildLog": None,
        "failure": None,
    }


async def test_a_deployment_is_cancelled(api: Api, world: World) -> None:
    app = await world.app("web")
    created = await api(
        """query ($id: ID!) { node(id: $id) { ... on App { instance(environment: "production") { id } } } }""",
        as_=world.developer,
        id=app.id,
    )
    instance = created["node"]["instance"]["id"]
    created = await api(
        """mutation ($i: ID!) { deploymentCreate(input: {instanceId: $i}) { deployment { id } } }""",
        as_=world.developer,
        i=instance,
    )
    identifier = created["deploymentCreate"]["deployment"]["id"]

    cancelled = await api(
        """mutation ($id: ID!) { deploymentCancel(id: $id) {
             deployment { cancelRequestedAt canCancel } userErrors { message } } }""",
        as_=world.developer,
        id=identifier,
    )

    deployment = cancelled["deploymentCancel"]["deployment"]
    assert deployment["cancelRequestedAt"] is not None
    assert deployment["canCancel"] is False
