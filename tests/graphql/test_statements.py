"""No N+1: as many statements for many rows as for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    print_ast,
    visit,
)

from app.access.actor import Actor
from app.crypto import SecretBox
from app.db import Database
from app.graphql.schema import core_schema
from app.ids import new_id
from app.instances.secrets import new_variable
from app.models import (
    BuildLogLine,
    Deployment,
    DeploymentPhase,
    DeploymentStatus,
    DeploymentStep,
    DeploymentTrigger,
    Push,
    PushStatus,
    StepStatus,
)
from tests.factories import Placed, make_build, make_instance, make_release, make_user
from tests.graphql.conftest import Api

EVERYTHING = """
query ($project: ID!) {
  branchMatch(projectId: $project, branch: "main") { environments { slug } }
  viewer { user { id } token { id } tokens { totalCount nodes { id } }
    sessions { id } identities { id } }
  organizations(first: 3) { totalCount nodes { viewerRole project(slug: "p-0") { slug }
    members(first: 5) { totalCount nodes { user { name } organization { slug } } }
    invitations(first: 5) { totalCount nodes { project { slug } } }
    webhook(id: "whk_x") { id }
    webhooks(first: 3) { totalCount nodes { project { slug } deliveries(first: 3) { totalCount nodes { kind } } } }
    auditLog(first: 5) { totalCount nodes { action } }
    quota { apps { used } replicas { used } cpuMillis { used } memoryMb { used } concurrentBuilds { used } }
    projects(first: 3) { totalCount nodes { organization { slug } defaultEnvironment { slug }
      members(first: 5) { totalCount nodes { user { name } project { slug } } }
      previewRule { sourceEnvironment { slug } }
      environment(slug: "production") { slug } app(slug: "web-0") { slug }
      environments(first: 4) { totalCount nodes { project { slug } instances(first: 4) { totalCount nodes { id } }
        deployments(first: 9) { totalCount nodes { number } } } }
      apps(first: 3) { totalCount nodes { project { slug } gitRemoteUrl
        remote { pushes(first: 3) { totalCount nodes { push { ref } } } } instance(environment: "production") { id }
        pushes(first: 5) { totalCount nodes { app { slug } user { name } deployments(first: 5) { totalCount nodes { id } } } }
        instances(first: 4) { totalCount nodes { ...instance } } } } } } } }
}
fragment instance on Instance {
  app { slug } environment { slug } url status containers { name } envVars { name value } stagedChanges { needsBuild }
  currentRelease { scale { replicas } instance { id } envVarNames build { id } }
  currentDeployment { number }
  events(first: 3) { totalCount nodes { user { name } } }
  metrics(input: {measurements: [COPIES], start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z"}) { points { value } }
  deployments(first: 5) { totalCount nodes { instance { id } creator { name } push { ref } release { number }
    source { id } supersededBy { id } steps { phase } canCancel canRollBackTo canPromote
    buildLog(last: 3) { totalCount nodes { message } }
    build { app { slug } failure { code } log(first: 2) { totalCount nodes { message } } } } }
}
"""


async def deployed(
    database: Database, box: SecretBox, actor: Actor, placed: Placed, history: int
) -> None:
    """Variables, a push, and ``history`` deployments with steps and a log each."""
    for number in range(1, history + 1):
        build = await make_build(database, placed.app, commit_sha=f"{number:040x}")
        release = await make_release(database, box, placed.instance, build)
        async with database.write_transaction() as session:
            push = Push(
                id=new_id("psh"),
                app_id=placed.app.id,
                user_id=actor.user_id,
                ref="refs/heads/main",
                before_sha="0" * 40,
                after_sha=f"{number:040x}",
                status=PushStatus.DEPLOYED,
            )
            session.add(push)
            session.add_all(
                BuildLogLine(build_id=build.id, number=line, text=f"line {line}")
                for line in range(history + 3)
            )
            await session.flush()
            deployment = Deployment(
                id=new_id("dep"),
                instance_id=placed.instance.id,
                number=number,
                status=DeploymentStatus.SUCCEEDED,
                trigger=DeploymentTrigger.GIT_PUSH,
                user_id=actor.user_id,
                push_id=push.id,
                build_id=build.id,
                release_id=release.id,
            )
            session.add(deployment)
            await session.flush()
            session.add_all(
                DeploymentStep(
                    deployment_id=deployment.id, phase=phase, status=StepStatus.SUCCEEDED
                )
                for phase in DeploymentPhase
            )
            name = f"VARIABLE_{number}"
            session.add(new_variable(box, placed.instance.id, name, "x", is_build=False))


class Made(NamedTuple):
    actor: Actor
    project: str


async def make_world(database: Database, box: SecretBox, *, name: str, size: int) -> Made:
    """A member of ``size`` organizations' worth of everything; each level has ``size`` children."""
    first = await make_instance(database, organization=name, project="p-0", app="web-0")
    actor = await make_user(database, first.organization, name=name)
    await deployed(database, box, actor, first, size + 1)
    for project in range(size):
        for app in range(size):
            for environment in ("production", "staging", "preview")[:size]:
                if (project, app, environment) == (0, 0, "production"):
                    continue
                placed = await make_instance(
                    database,
                    organization=name,
                    project=f"p-{project}",
                    app=f"web-{app}",
                    environment=environment,
                )
                await deployed(database, box, actor, placed, size + 1)
    return Made(actor, first.project.id)


async def test_along_every_path_many_rows_cost_as_many_statements_as_one(
    by_loaders: Api, database: Database, secret_box: SecretBox
) -> None:
    """One path at a time: what two siblings share a batch for depends on who is answered first."""
    lone = await make_world(database, secret_box, name="lone", size=1)
    many = await make_world(database, secret_box, name="many", size=2)
    await by_loaders.token_of(lone.actor)
    await by_loaders.token_of(many.actor)
    for path in paths_of(EVERYTHING):
        with by_loaders.counting() as for_one:
            await by_loaders(path, as_=lone.actor, project=lone.project)
        with by_loaders.counting() as for_many:
            await by_loaders(path, as_=many.actor, project=many.project)
        assert len(for_many) == len(for_one), f"{path}\n" + "\n".join(for_many)

    with by_loaders.counting() as statements:
        answer = await by_loaders(EVERYTHING, as_=many.actor, project=many.project)
    assert count_of(answer) > 500
    assert len(statements) < 100


def paths_of(document: str) -> list[str]:
    """For each leaf of the document, a document that asks for this leaf alone."""
    parsed = parse(document)
    fragments = {
        each.name.value: each
        for each in parsed.definitions
        if isinstance(each, FragmentDefinitionNode)
    }

    def leaves(selections: SelectionSetNode) -> Iterator[str]:
        for selection in selections.selections:
            if isinstance(selection, FragmentSpreadNode):
                yield from leaves(fragments[selection.name.value].selection_set)
            elif isinstance(selection, FieldNode) and selection.selection_set:
                alone = FieldNode(name=selection.name, arguments=selection.arguments)
                for leaf in leaves(selection.selection_set):
                    yield f"{print_ast(alone)} {{ {leaf} }}"
            else:
                yield print_ast(selection)

    (operation,) = (d for d in parsed.definitions if isinstance(d, OperationDefinitionNode))
    return [
        f"query ($project: ID!) {{ {leaf} }}" if "$project" in leaf else f"{{ {leaf} }}"
        for leaf in leaves(operation.selection_set)
    ]


def count_of(value: object) -> int:
    """Objects in an answer."""
    if isinstance(value, dict):
        return 1 + sum(map(count_of, value.values()))
    if isinstance(value, list):
        return sum(map(count_of, value))
    return 0


def test_the_query_above_has_every_connection_and_every_field_that_leads_to_an_object() -> None:
    """So that a field added later is counted too."""
    schema = core_schema()
    led_to: set[tuple[str, str]] = set()
    for name, kind in schema.type_map.items():
        if not isinstance(kind, GraphQLObjectType) or name.startswith("__"):
            continue
        if name.endswith(("Payload", "Connection", "Edge")) or name in {
            "Query",
            "Mutation",
            "DeploymentPlan",
            "Subscription",
            "BuildLogEvent",
            "InstanceState",
            "LogEvent",
        }:
            continue
        for field, definition in kind.fields.items():
            if isinstance(get_named_type(definition.type), GraphQLObjectType):
                led_to.add((name, field))

    asked: set[tuple[str, str]] = set()
    info = TypeInfo(schema)

    class Collect(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            parent = info.get_parent_type()
            assert parent is not None
            asked.add((parent.name, node.name.value))

    visit(parse(EVERYTHING), TypeInfoVisitor(info, Collect()))
    without_reads = {("Deployment", "failure"), ("StagedChanges", "variables")} | {
        ("StagedChanges", "settings"),
        ("Instance", "scale"),
        ("Instance", "logs"),  # read from files, not by statements
    }
    assert led_to - asked - without_reads == set()
