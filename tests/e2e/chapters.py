"""What must be so on either engine; each chapter goes on from where the one before it left the platform."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.story import BRANCHES, Checkout, Story
from tests.up.platform import until

APPS = {"py": "python-procfile", "site": "static-site", "box": "dockerfile-app"}


def three_apps_deploy_to_three_environments(story: Story) -> dict[str, Checkout]:
    story.make_project()
    checkouts = {app: story.make_app(app, sample) for app, sample in APPS.items()}
    for app, checkout in checkouts.items():
        for environment, branch in BRANCHES.items():
            pushed = checkout.push(branch)
            assert pushed.code == 0, pushed.output
            assert f"Live at http://acme.storefront-{app}-{environment}." in pushed.output
            assert story.page(app, environment)[0] == 200, pushed.output
            others = set(BRANCHES) - {environment}
            assert not any(f"-{app}-{other}." in pushed.output for other in others)
    return checkouts


def one_commit_was_built_once(story: Story) -> None:
    for app in APPS:
        builds = {story.deployment(app, environment)["buildId"] for environment in BRANCHES}
        assert len(builds) == 1, app


def a_variable_changes_one_environment_only(story: Story) -> None:
    variable = f"{story.app_path('py', 'staging')}/env-vars/GREETING"
    status, answer = story.call("PUT", variable, {"value": "Good morning"})
    assert status == 200, answer
    until(lambda: "Good morning" in story.page("py", "staging")[1])
    assert "Good morning" not in story.page("py", "production")[1]


def a_new_version_drops_no_request(story: Story, checkout: Checkout) -> None:
    page = checkout.folder / "page.html"
    page.write_text(page.read_text() + "<!-- second version -->")
    checkout.commit("A second version")
    with _under_load(story) as answers:
        pushed = checkout.push("main")
        assert pushed.code == 0, pushed.output
        assert "second version" in story.page("py", "production")[1]
        status, answer = story.call(
            "PATCH", f"{story.app_path('py', 'production')}/scale", {"replicas": 2, "cpuMillis": 50}
        )
        assert status == 200, answer
        _succeeded(story, "py", "production")
    assert len(answers) > 20
    assert set(answers) == {200}


def a_broken_version_fails_and_the_old_one_serves_on(story: Story, checkout: Checkout) -> None:
    procfile = checkout.folder / "Procfile"
    kept = procfile.read_text()
    procfile.write_text("web: echo the reason why >&2; exit 3\n")
    checkout.commit("A broken version")
    with _under_load(story) as answers:
        pushed = checkout.push("main")
    assert "failed" in pushed.output
    assert "the reason why" in pushed.output
    assert set(answers) == {200}
    assert story.deployment("py", "production")["failure"]["code"] == "crash_loop"
    procfile.write_text(kept)
    checkout.commit("Repaired")


def a_rollback_restores_the_first_version_without_building(story: Story) -> None:
    first = f"{story.app_path('py', 'production')}/deployments/1"
    status, answer = story.call("POST", f"{first}/rollback")
    assert status == 201, answer
    _succeeded(story, "py", "production")
    assert "second version" not in story.page("py", "production")[1]
    assert story.deployment("py", "production")["buildId"] == story.call("GET", first)[1]["buildId"]
    assert story.call("GET", f"{story.app_path('py', 'production')}/scale")[1]["replicas"] == 1


def a_promotion_builds_nothing(story: Story) -> None:
    source = story.deployment("py", "staging")
    path = f"{story.app_path('py', 'staging')}/deployments/{source['number']}/promote"
    status, answer = story.call("POST", path, {"toEnvironment": "preview"})
    assert status == 201, answer
    _succeeded(story, "py", "preview")
    assert story.deployment("py", "preview")["buildId"] == source["buildId"]


def a_deleted_environment_answers_no_more_and_its_branch_is_skipped(
    story: Story, checkout: Checkout
) -> None:
    status, answer = story.call("DELETE", "/api/orgs/acme/projects/storefront/envs/preview")
    assert status in {200, 202, 204}, answer
    until(lambda: all(story.page(app, "preview")[0] == 404 for app in APPS))
    pushed = checkout.push("feature/y")
    assert pushed.code == 0, pushed.output
    assert "[paas] skipped: " in pushed.output
    refused = checkout.push("feature/z", "-o", "wait")
    assert refused.code != 0
    assert "skipped" in refused.output


def a_deleted_project_stops_and_a_restored_one_serves_again(
    story: Story, checkout: Checkout
) -> None:
    before = story.page("py", "production")[1]
    assert story.call("DELETE", "/api/orgs/acme/projects/storefront")[0] in {200, 202, 204}
    until(lambda: story.page("py", "production")[0] == 404)
    refused = checkout.push("main", "--force")
    assert refused.code != 0
    assert "deleted" in refused.output
    project_id = story.call("GET", "/api/orgs/acme/projects/storefront")[1]["id"]
    mutation = "mutation($id: ID!) { projectRestore(id: $id) { userErrors { message } } }"
    asked = {"query": mutation, "variables": {"id": project_id}}
    status, restored = story.call("POST", "/graphql", asked)
    assert status == 200
    assert restored["data"] == {"projectRestore": {"userErrors": []}}, restored
    until(lambda: story.page("py", "production")[0] == 200)
    assert story.page("py", "production")[1] == before


def a_purged_project_leaves_nothing(story: Story) -> None:
    early = story.home.paas("admin", "purge", "acme/storefront", "--yes")
    assert early.returncode == 1
    assert "Delete it first" in early.stderr
    assert story.call("DELETE", "/api/orgs/acme/projects/storefront")[0] in {200, 202, 204}
    purged = story.home.paas("admin", "purge", "acme/storefront", "--yes")
    assert purged.returncode == 0, purged.stderr
    assert story.call("GET", "/api/orgs/acme/projects/storefront")[0] == 404
    assert list((story.home.folder / "repositories").glob("*.git")) == []
    until(lambda: story.page("py", "production")[0] == 404)


def _succeeded(story: Story, app: str, environment: str) -> None:
    """Wait for the end of the newest deployment, which must be a good one."""
    until(lambda: story.deployment(app, environment)["finishedAt"] is not None, 120)
    newest = story.deployment(app, environment)
    assert newest["status"] == "succeeded", newest["failure"]


@contextmanager
def _under_load(story: Story) -> Iterator[list[int]]:
    """Statuses of requests made one after the other, all the while."""
    answers: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answers.append(story.page("py", "production")[0])
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()
