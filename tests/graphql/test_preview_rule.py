"""The preview rule in the graph."""

from __future__ import annotations

from tests.graphql.conftest import Api
from tests.services.conftest import World


async def test_graphql_sets_it_and_says_where_a_branch_would_go(api: Api, world: World) -> None:
    staging = await world.environment("staging", pattern="staging")
    project = world.storefront.id
    answer = await api(
        'mutation($p: ID!, $e: ID!) { previewRuleSet(input: {projectId: $p, branchPattern: "pr-*",'
        " sourceEnvironmentId: $e}) { userErrors { code } project { previewRule { branchPattern"
        " maxEnvironments idleHours slugTemplate sourceEnvironment { slug } } } } }",
        as_=world.owner,
        p=project,
        e=staging.id,
    )
    assert answer["previewRuleSet"] == {
        "userErrors": [],
        "project": {
            "previewRule": {
                "branchPattern": "pr-*",
                "maxEnvironments": 10,
                "idleHours": 168,
                "slugTemplate": "{branch}",
                "sourceEnvironment": {"slug": "staging"},
            }
        },
    }
    matched = await api(
        'query($p: ID!) { branchMatch(projectId: $p, branch: "pr-1")'
        " { makesPreview skipped pattern environments { slug } } }",
        as_=world.viewer,
        p=project,
    )
    assert matched["branchMatch"] == {
        "makesPreview": True,
        "skipped": False,
        "pattern": "pr-*",
        "environments": [],
    }
    answer = await api(
        "mutation($p: ID!) { previewRuleUnset(projectId: $p) { project { previewRule { idleHours } } } }",
        as_=world.owner,
        p=project,
    )
    assert answer["previewRuleUnset"]["project"] == {"previewRule": None}
