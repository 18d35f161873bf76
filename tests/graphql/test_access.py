"""Another tenant's objects are not there, and a role that lacks a permission is told so."""

from __future__ import annotations

from typing import Any

from app.access.actor import Actor
from app.crypto import SecretBox
from app.db import Database
from app.graphql.schema import core_schema
from app.invitations import service as invitations
from app.models import Base, EnvVar, Role
from app.outbound.guard import Guard
from app.settings import Settings
from app.webhooks import service as webhooks
from tests.graphql.conftest import Api
from tests.graphql.test_reading import one_of_each
from tests.services.conftest import World

ERRORS = "userErrors { code message field hint }"

MUTATIONS = {
    "organizationUpdate": '(id: "$Organization", input: {displayName: "New"})',
    "organizationDelete": '(id: "$Organization", confirm: "acme")',
    "memberSet": '(input: {organizationId: "$Organization", user: "mallory", role: OWNER})',
    "memberRemove": '(organizationId: "$Organization", user: "olga")',
    "projectMemberSet": '(input: {projectId: "$Project", user: "mallory", role: OWNER})',
    "projectMemberRemove": '(projectId: "$Project", user: "olga")',
    "environmentProtect": '(id: "$Environment", roles: [ADMIN])',
    "projectCreate": '(input: {organizationId: "$Organization", slug: "other"})',
    "projectUpdate": '(id: "$Project", input: {displayName: "New"})',
    "projectDelete": '(id: "$Project")',
    "projectRestore": '(id: "$Project")',
    "environmentCreate": '(input: {projectId: "$Project", slug: "other", branchPattern: "*"})',
    "environmentUpdate": '(id: "$Environment", input: {branchPattern: "other"})',
    "environmentDelete": '(id: "$Environment", confirm: "production")',
    "previewRuleSet": (
        '(input: {projectId: "$Project", branchPattern: "pr-*", sourceEnvironmentId: "$Environment"})'
    ),
    "previewRuleUnset": '(projectId: "$Project")',
    "webhookCreate": '(input: {organizationId: "$Organization", url: "https://example.com/"})',
    "webhookUpdate": '(id: "$Webhook", input: {enabled: false})',
    "webhookDelete": '(id: "$Webhook")',
    "webhookTest": '(id: "$Webhook")',
    "webhookDeliveryRetry": '(id: "$WebhookDelivery")',
    "memberInvite": '(input: {organizationId: "$Organization", email: "x@x.org", role: VIEWER})',
    "invitationRevoke": '(id: "$Invitation")',
    "appRemoteSet": '(input: {appId: "$App", host: GITHUB, url: "https://example.com/a/b"})',
    "appRemoteUnset": '(appId: "$App")',
    "appCreate": '(input: {projectId: "$Project", slug: "other"})',
    "appUpdate": '(id: "$App", input: {containerPort: 81})',
    "appDelete": '(id: "$App", confirm: "worker")',
    "envVarsSet": '(instanceId: "$Instance", input: {vars: [{name: "A", value: "hunter2"}]})',
    "envVarsUnset": '(instanceId: "$Instance", names: ["A"])',
    "scaleUpdate": '(instanceId: "$Instance", input: {replicas: 2})',
    "instanceApply": '(id: "$Instance")',
    "deploymentCreate": '(input: {instanceId: "$Instance", ref: "main"})',
    "branchDeploy": '(appId: "$App", branch: "main")',
    "deploymentCancel": '(id: "$Deployment")',
    "deploymentRollback": '(id: "$Deployment")',
    "deploymentPromote": '(id: "$Deployment", toEnvironmentId: "$Environment")',
}
"""Each on an object of acme's; ``$Type`` stands for the id of one."""

OF_NOBODY = {
    "organizationCreate",
    "quotaSet",
    "tokenCreate",
    "tokenRevoke",
    "invitationAccept",
    "passwordChange",
    "sessionRevoke",
    "identityUnlink",
}
"""Mutations on nothing of an organization's."""


def mutation(name: str, ids: dict[str, str]) -> str:
    arguments = MUTATIONS[name]
    for kind, identifier in ids.items():
        arguments = arguments.replace(f'"${kind}"', f'"{identifier}"')
    return f"mutation {{ {name}{arguments} {{ {ERRORS} }} }}"


def test_the_table_names_every_mutation() -> None:
    root = core_schema().mutation_type
    assert root is not None
    assert set(MUTATIONS) | OF_NOBODY == set(root.fields)


async def ids_of(world: World, database: Database, box: SecretBox) -> dict[str, str]:
    """Of everything that a mutation may name."""
    ids = await one_of_each(world, database, box)
    async with database.write_transaction() as session:
        webhook, _ = await webhooks.create(
            session, world.owner, world.acme, box, Guard(), url="https://example.com/hook"
        )
        delivery = await webhooks.send_test(session, world.owner, webhook)
        invitation, _ = await invitations.invite(
            session, Settings(), world.owner, world.acme, email="v@example.com", role=Role.VIEWER
        )
    ids["Invitation"] = invitation.id
    return {**ids, "WebhookDelivery": delivery.id, "Webhook": webhook.id}


async def rows_of(database: Database) -> dict[str, list[Any]]:
    """Everything in the database but tokens, which are made and used, and what is told of that."""
    async with database.read_session() as session:
        return {
            table.name: sorted(
                (tuple(row) for row in await session.execute(table.select())), key=repr
            )
            for table in Base.metadata.sorted_tables
            if table.name not in {"api_token", "audit_entry"}
        }


async def test_every_mutation_of_a_strangers_fails_as_on_nothing_and_changes_nothing(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await ids_of(world, database, secret_box)
    nothing = {kind: identifier[:4] + "z" * 26 for kind, identifier in ids.items()}
    before = await rows_of(database)
    for name in MUTATIONS:
        answers = [await api(mutation(name, given), as_=world.stranger) for given in (ids, nothing)]
        assert answers[0] == answers[1], name
        (error,) = answers[0][name]["userErrors"]
        assert error["code"] == "NOT_FOUND", name
    assert await rows_of(database) == before


async def test_every_mutation_of_a_viewers_is_forbidden_and_changes_nothing(
    api: Api, world: World, database: Database, secret_box: SecretBox
) -> None:
    ids = await ids_of(world, database, secret_box)
    before = await rows_of(database)
    for name in MUTATIONS:
        answer = await api(mutation(name, ids), as_=world.viewer)
        assert [error["code"] for error in answer[name]["userErrors"]] == ["FORBIDDEN"], name
    assert await rows_of(database) == before


async def test_no_kind_of_node_is_found_by_a_stranger(
    api: Api, world: World, database: Database, secret_box: SecretBox, operator: Actor
) -> None:
    ids = await one_of_each(world, database, secret_box)
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    answer = await api(document, as_=world.stranger, ids=list(ids.values()))
    assert answer["nodes"] == [None] * len(ids)
    answer = await api(document, as_=operator, ids=list(ids.values()))
    assert None not in answer["nodes"]


async def test_a_stranger_finds_nothing_by_path_or_slug(api: Api, world: World) -> None:
    await world.app("web")
    answer = await api(
        """{ organization(slug: "acme") { id } a: resource(path: "acme") { id }
             b: resource(path: "acme/storefront") { id } c: resource(path: "acme/storefront/web") { id }
             d: resource(path: "acme/storefront/web/production") { id }
             organizations { nodes { slug } } }""",
        as_=world.stranger,
    )
    assert answer.pop("organizations") == {"nodes": [{"slug": "evil"}]}
    assert set(answer.values()) == {None}


async def test_a_variables_value_is_shown_to_who_may_read_it(api: Api, world: World) -> None:
    await world.app("web")
    document = '{ resource(path: "acme/storefront/web/production") { id ... on Instance { envVars { name value digest } } } }'
    answer = await api(document, as_=world.owner)
    await api(
        'mutation ($i: ID!) { envVarsSet(instanceId: $i, input: {vars: [{name: "KEY", value: "hunter2"}]}) { userErrors { code } } }',
        as_=world.owner,
        i=answer["resource"]["id"],
    )
    for actor, value in (
        (world.viewer, None),
        (world.developer, "hunter2"),
        (world.admin, "hunter2"),
    ):
        response = await api.post(document, as_=actor)
        (variable,) = response.json()["data"]["resource"]["envVars"]
        assert (variable["name"], variable["value"]) == ("KEY", value)
        assert ("hunter2" in response.text) == (value is not None)


async def test_a_variable_that_cannot_be_opened_names_no_value(
    api: Api, world: World, database: Database
) -> None:
    await world.app("web")
    document = '{ resource(path: "acme/storefront/web/production") { id ... on Instance { envVars { name value } } } }'
    answer = await api(document, as_=world.owner)
    async with database.write_transaction() as session:
        session.add(
            EnvVar(
                instance_id=answer["resource"]["id"],
                name="KEY",
                ciphertext=b"x" * 40,
                key_id="lost",
                digest="d",
            )
        )
    (error,) = await api.errors(document, as_=world.owner)
    assert error["extensions"]["code"] == "PRECONDITION_FAILED"
    assert "lost" in error["message"]


async def test_tokens_are_seen_and_revoked_by_their_own_user(api: Api, world: World) -> None:
    created = await api(
        'mutation { tokenCreate(input: {name: "ci"}) { token { id name } secret userErrors { code } } }',
        as_=world.developer,
    )
    token = created["tokenCreate"]["token"]["id"]
    secret = created["tokenCreate"]["secret"]
    node = await api("query ($id: ID!) { node(id: $id) { id } }", as_=world.owner, id=token)
    assert node == {"node": None}
    revoke = (
        "mutation ($id: ID!) { tokenRevoke(id: $id) { token { revokedAt } userErrors { code } } }"
    )
    refused = await api(revoke, as_=world.owner, id=token)
    assert refused["tokenRevoke"] == {"token": None, "userErrors": [{"code": "NOT_FOUND"}]}

    async def status() -> int:
        response = await api.http.post(
            "/graphql",
            json={"query": "{ viewer { user { name } } }"},
            headers={"Authorization": f"Bearer {secret}"},
        )
        return response.status_code

    assert await status() == 200
    revoked = await api(revoke, as_=world.developer, id=token)
    assert revoked["tokenRevoke"]["token"]["revokedAt"] is not None
    assert await status() == 401


async def test_reconcilers_are_for_operators(api: Api, world: World, operator: Actor) -> None:
    document = "{ reconcilers { name worker lastError detail } }"
    (error,) = await api.errors(document, as_=world.owner)
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await api(document, as_=operator) == {"reconcilers": []}
