"""From a linked directory to a live app and back; what is told while it goes on, and how it ends."""

from __future__ import annotations

import pytest

from app.adapters.memory.cluster import Behaviour
from tests.cli.world import Terminal

pytestmark = pytest.mark.slow


async def _newest(shop: Terminal, environment: str = "production") -> dict[str, object]:
    found = (await shop.ok("deployments", "list", "--env", environment, "--json")).json
    assert isinstance(found[0], dict)
    return found[0]


async def test_init_links_and_gives_git_the_token_which_is_in_no_file_of_the_clone(
    shop: Terminal,
) -> None:
    assert await shop.git("remote", "get-url", "paas") == f"{shop.host}/git/acme/storefront/web.git"
    pushed = await shop.git("push", "paas", "main")
    assert "Live at http://acme.storefront-web-production." in pushed
    everything = [path for path in shop.folder.rglob("*") if path.is_file()]
    assert not [path for path in everything if shop.token.encode() in path.read_bytes()]
    # Again, also with what is there already.
    await shop.ok("init", "acme/storefront/web")
    await shop.git("remote", "set-url", "paas", "https://elsewhere.example.com/x.git")
    refused = await shop.paas("init", "acme/storefront/web")
    assert (refused.code, "--remote NAME" in refused.err) == (1, True)


async def test_init_of_an_app_that_is_not_there_says_how_to_make_it(shop: Terminal) -> None:
    refused = await shop.paas("init", "acme/storefront/other")
    assert refused.code == 4
    assert "paas init acme/storefront/other --create" in refused.err


async def test_git_that_asks_without_being_signed_in_is_told_so_and_does_not_prompt(
    shop: Terminal,
) -> None:
    await shop.ok("logout")
    asked = await shop.paas("credential", "--host", shop.host, "get", stdin="protocol=http\n\n")
    assert (asked.code, asked.out) == (0, "quit=1\n")
    assert f"paas login {shop.host}" in asked.err
    kept = await shop.paas("credential", "--host", shop.host, "store", stdin="password=x\n\n")
    assert (kept.code, kept.out, kept.err) == (0, "", "")


async def test_files_are_deployed_as_they_are_and_the_clone_stays_as_it_was(shop: Terminal) -> None:
    head = await shop.git("rev-parse", "HEAD")
    (shop.folder / "Procfile").write_text("web: python3 other.py\n")
    (shop.folder / "staged.txt").write_text("staged")
    await shop.git("add", "staged.txt")
    (shop.folder / "new.txt").write_text("new")
    (shop.folder / "ignored").write_text("a secret")
    (shop.folder / ".env").write_text("KEY=1\n")
    status = await shop.git("status", "--porcelain")
    ran = await shop.ok("deploy", "--env", "staging")
    assert ran.out == "-----> Live at http://acme.storefront-web-staging.apps.localhost:7080\n"
    assert ran.err.splitlines()[:3] == [
        "-----> Sending the files as they are",
        "       .env goes along: git does not ignore it.",
        "-----> Deployment #1 to staging",
    ]
    assert await shop.git("status", "--porcelain") == status
    assert await shop.git("rev-parse", "HEAD") == head
    sent = str((await _newest(shop, "staging"))["commitSha"])
    names = await shop.git("ls-tree", "-r", "--name-only", sent)
    assert names.split() == [".env", ".gitignore", "Procfile", "new.txt", "staged.txt"]
    assert await shop.git("show", f"{sent}:Procfile") == "web: python3 other.py"
    assert await shop.git("rev-parse", f"{sent}^") == head


async def test_files_that_are_committed_are_deployed_as_that_commit(shop: Terminal) -> None:
    await shop.ok("deploy")
    found = await _newest(shop)
    assert found["commitSha"] == await shop.git("rev-parse", "HEAD")
    assert found["status"] == "SUCCEEDED"


async def test_folder_that_is_no_clone_can_be_deployed(shop: Terminal) -> None:
    shop.folder = shop.folder.parent / "plain"
    shop.folder.mkdir()
    (shop.folder / "index.html").write_text("hello")
    linked = await shop.ok("init", "acme/storefront/web")
    assert "This is no git clone" in linked.err
    await shop.ok("deploy")
    assert sorted(path.name for path in shop.folder.iterdir()) == [".paas.toml", "index.html"]


async def test_ref_that_was_pushed_is_deployed_and_another_is_refused(shop: Terminal) -> None:
    await shop.git("push", "-o", "no-wait", "paas", "main:topic")
    made = (await shop.ok("deploy", "topic", "--env", "staging", "--json")).json["deployment"]
    assert (made["ref"], made["status"], made["instance"]["environment"]["slug"]) == (
        "topic",
        "SUCCEEDED",
        "staging",
    )
    sha = await shop.git("rev-parse", "HEAD")
    assert (await shop.ok("deploy", sha, "--json")).json["deployment"]["commitSha"] == sha
    refused = await shop.paas("deploy", "nothing")
    assert (refused.code, "Push it first" in refused.err) == (4, True)


async def test_failed_deployment_ends_with_one_and_says_why_and_the_old_one_stays(
    shop: Terminal,
) -> None:
    await shop.ok("deploy")
    await shop.git("commit", "--quiet", "--allow-empty", "--message", "Broken")
    broken = await shop.git("rev-parse", "HEAD")
    shop.stage.behaviours[broken] = Behaviour.CRASHES
    failed = await shop.paas("deploy")
    assert failed.code == 1, failed
    assert failed.out == ""
    assert " !  Deployment #2 to production failed: " in failed.err
    as_json = await shop.paas("deploy", broken, "--json")
    assert as_json.code == 1
    assert as_json.json["deployment"]["failure"]["code"] == "CRASH_LOOP"
    shown = (await shop.ok("deployments", "show", "2")).rows
    assert ["Status", "FAILED"] in shown
    assert ["Runs", f"#1 {await shop.git('rev-parse', '--short=12', 'HEAD^')} First"] in (
        await shop.ok("status")
    ).rows


async def test_not_waiting_ends_at_once(shop: Terminal) -> None:
    shop.stage.builds.held = True
    queued = await shop.ok("deploy", "--no-wait", "--json")
    assert queued.json["deployment"]["status"] in {"QUEUED", "BUILDING"}
    await shop.ok("cancel")
    again = await shop.paas("cancel", "1")
    assert (again.code, again.err != "") in {(0, True), (1, True)}


async def test_variables_scale_rollback_promotion(shop: Terminal) -> None:
    await shop.ok("deploy")
    changed = await shop.ok("env", "set", "DEBUG=true", "GREETING=Good morning")
    assert changed.err.startswith("-----> Deployment #2 to production\n")
    assert [row[:2] for row in (await shop.ok("env", "list")).rows] == [
        ["DEBUG", "no"],
        ["GREETING", "no"],
    ]
    await shop.ok("scale", "--replicas", "2", "--memory", "128")
    assert (await shop.ok("scale")).rows == [["Replicas", "2"], ["CPU", "200"], ["Memory", "128"]]
    await shop.ok("rollback", "1")
    assert (await shop.ok("env", "list", "--json")).json == []
    assert (await shop.ok("scale", "--json")).json["replicas"] == 1
    await shop.ok("rollback")
    assert (await shop.ok("scale", "--json")).json["replicas"] == 2
    await shop.ok("promote", "staging", "--env", "production")
    found = await _newest(shop, "staging")
    assert (found["trigger"], found["status"]) == ("PROMOTION", "SUCCEEDED")
    triggers = [row[2] for row in (await shop.ok("deployments", "list")).rows]
    assert triggers == ["rollback", "rollback", "scale", "config change", "api"]


async def test_what_is_staged_is_shown_planned_and_applied(shop: Terminal) -> None:
    await shop.ok("deploy")
    staged = await shop.ok("env", "set", "A=1", "--no-deploy")
    assert staged.err == "Staged. Deploy it with: paas apply\n"
    await shop.ok("scale", "--replicas", "3", "--no-deploy")
    assert "Staged, and not deployed: A, replicas." in (await shop.ok("status")).err
    planned = (await shop.ok("plan")).rows
    assert ["Variable", "A added"] in planned
    assert ["Setting", "replicas 1 → 3"] in planned
    assert ["Fits", "yes"] in planned
    await shop.ok("apply")
    assert (await shop.ok("apply")).err == "Nothing had to be deployed.\n"
    assert (await shop.ok("plan", "--json")).json["changes"] is None


async def test_secrets_are_read_from_pipes_and_files_and_come_back_as_they_were(
    shop: Terminal,
) -> None:
    awkward = 'two\nlines "quoted" $HOME \\ # =\n'
    await shop.ok("env", "set", "PIPED", "--no-deploy", stdin=awkward + "\n")
    (shop.folder / "key.pem").write_text("a key\n")
    await shop.ok("env", "set", "KEY", "--file", "key.pem", "--no-deploy")
    (shop.folder / "more.env").write_text(
        "# remarks are left out\nexport FIRST=1\nSECOND='$FIRST'\nTHIRD=\"a\\nb\" # why\n"
    )
    await shop.ok("env", "import", "more.env", "--no-deploy")
    values = {each["name"]: each["value"] for each in (await shop.ok("env", "list", "--json")).json}
    assert values == {
        "PIPED": awkward,
        "KEY": "a key",
        "FIRST": "1",
        "SECOND": "$FIRST",
        "THIRD": "a\nb",
    }
    assert awkward not in (await shop.ok("env", "list")).out
    written = (await shop.ok("env", "list", "--values")).out
    await shop.ok("env", "unset", *values, "--no-deploy")
    assert (await shop.ok("env", "list", "--json")).json == []
    await shop.ok("env", "import", "-", "--no-deploy", stdin=written)
    again = {each["name"]: each["value"] for each in (await shop.ok("env", "list", "--json")).json}
    assert again == values


async def test_what_is_no_variable_is_a_usage_error_and_sets_nothing(shop: Terminal) -> None:
    for arguments in (["A B=1"], ["A", "B"], ["=1"], ["OK=1", "2X=1"]):
        assert (await shop.paas("env", "set", *arguments)).code == 2, arguments
    bad = await shop.paas("env", "import", "-", stdin="GOOD=1\nno assignment here = = \n'\n")
    assert (bad.code, "line " in bad.err) == (2, True)
    assert (await shop.ok("env", "list", "--json")).json == []


async def test_address_is_printed_in_a_pipe(shop: Terminal) -> None:
    opened = await shop.ok("open", "--env", "staging")
    assert opened.out == "http://acme.storefront-web-staging.apps.localhost:7080\n"
