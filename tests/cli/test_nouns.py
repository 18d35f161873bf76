"""Each noun: made, listed in both forms, changed, deleted; and what is said when it is not there."""

from __future__ import annotations

from tests.cli.world import Terminal


async def test_organizations(shop: Terminal) -> None:
    await shop.ok("orgs", "create", "globex", "--name", "Globex Corp.")
    assert (await shop.ok("orgs", "list")).rows == [
        ["acme", "acme", "owner"],
        ["globex", "Globex Corp.", "owner"],
    ]
    await shop.ok("orgs", "rename", "Globex", "--org", "globex")
    found = (await shop.ok("orgs", "show", "globex", "--json")).json
    assert (found["slug"], found["displayName"], found["viewerRole"]) == (
        "globex",
        "Globex",
        "OWNER",
    )
    assert (await shop.paas("orgs", "delete", "globex", stdin="n\n")).code == 1
    await shop.ok("orgs", "delete", "globex", "--yes")
    assert [row["slug"] for row in (await shop.ok("orgs", "list", "--json")).json] == ["acme"]


async def test_projects(shop: Terminal) -> None:
    await shop.ok("projects", "create", "blog", "--name", "Blog")
    rows = (await shop.ok("projects", "list")).rows
    assert [row[:3] for row in rows] == [
        ["blog", "Blog", "live"],
        ["storefront", "storefront", "live"],
    ]
    await shop.ok("projects", "rename", "Our blog", "--project", "acme/blog")
    assert ["Display name", "Our blog"] in (await shop.ok("projects", "show", "blog")).rows
    await shop.ok("projects", "delete", "blog", "--yes")
    assert [row["slug"] for row in (await shop.ok("projects", "list", "--json")).json] == [
        "storefront"
    ]
    everything = (await shop.ok("projects", "list", "--deleted")).rows
    assert everything[0][:3] == ["blog", "Our blog", "deleted"]
    await shop.ok("projects", "restore", "blog")
    assert len((await shop.ok("projects", "list")).rows) == 2


async def test_environments(shop: Terminal) -> None:
    await shop.ok("envs", "create", "preview", "--branch", "*", "--name", "Preview")
    assert (await shop.ok("envs", "list")).rows == [
        ["preview", "*", "no", "Preview"],
        ["production", "main", "yes", "Production"],
        ["staging", "staging", "no", "staging"],
    ]
    matched = await shop.ok("envs", "match", "feature/x")
    assert (matched.out, matched.err) == (
        "preview\n",
        "The branch 'feature/x' matches the pattern '*' of preview.\n",
    )
    assert (await shop.paas("envs", "update", "preview")).code == 2
    await shop.ok("envs", "update", "preview", "--branch", "pr-*", "--default")
    found = (await shop.ok("envs", "show", "preview", "--json")).json
    assert (found["branchPattern"], found["isDefault"]) == ("pr-*", True)
    await shop.ok("envs", "delete", "staging", "--yes")
    missing = await shop.paas("envs", "show", "staging")
    assert (missing.code, "paas envs list" in missing.err) == (4, True)


async def test_apps(shop: Terminal) -> None:
    created = await shop.ok("apps", "create", "api", "--container-port", "9000")
    assert f"{shop.host}/git/acme/storefront/api.git" in created.err
    assert [row[0] for row in (await shop.ok("apps", "list")).rows] == ["api", "web"]
    await shop.ok("apps", "update", "--app", "api", "--name", "The API")
    found = (await shop.ok("apps", "show", "api", "--json")).json
    assert (found["displayName"], found["containerPort"]) == ("The API", 9000)
    await shop.ok("apps", "delete", "api", "--yes")
    assert (await shop.paas("apps", "show", "api")).code == 4


async def test_members(shop: Terminal) -> None:
    await shop.token_of("grace")
    await shop.ok("members", "set", "grace", "developer")
    assert [row[:2] for row in (await shop.ok("members", "list")).rows] == [
        ["ada", "owner"],
        ["grace", "developer"],
    ]
    await shop.ok("members", "remove", "grace")
    assert len((await shop.ok("members", "list", "--json")).json) == 1


async def test_what_is_not_there_ends_with_four_and_says_what_lists_it(shop: Terminal) -> None:
    for command, what in (
        (["orgs", "show", "nobody"], "organization nobody"),
        (["projects", "list", "--org", "nobody"], "organization nobody"),
        (["projects", "show", "nothing"], "project acme/nothing"),
        (["apps", "show", "nothing"], "app acme/storefront/nothing"),
        (["status", "--app", "acme/storefront/nothing"], "app acme/storefront/nothing"),
        (["status", "--env", "nowhere"], "environment nowhere"),
        (["rollback", "7"], "deployment #7"),
    ):
        refused = await shop.paas(*command)
        assert refused.code == 4, refused
        assert what in refused.err
        assert " list" in refused.err.splitlines()[1]
        assert refused.out == ""


async def test_what_another_tenant_has_is_answered_as_if_it_were_not_there(shop: Terminal) -> None:
    stranger = {"PAAS_TOKEN": await shop.token_of("mallory"), "PAAS_HOST": shop.host}
    for command in (["apps", "show"], ["env", "list"], ["members", "list"], ["deploy", "main"]):
        theirs = await shop.paas(*command, env=stranger)
        assert theirs.code == 4, theirs
        assert "that you may know of" in theirs.err


async def test_what_the_platform_refuses_ends_with_one_and_its_hint(shop: Terminal) -> None:
    refused = await shop.paas("projects", "create", "Shop!")
    assert refused.code == 1
    first, second = refused.err.splitlines()[:2]
    assert first.startswith(" !  A slug may not")
    assert second.startswith("    Use ")


async def test_where_names_come_from(shop: Terminal) -> None:
    """Flags, then variables, then the link; a name of the link counts only below its own parents."""
    await shop.ok("projects", "create", "blog")
    assert (await shop.ok("envs", "list")).rows != []
    from_variable = await shop.paas("envs", "list", "--json", env={"PAAS_PROJECT": "blog"})
    assert [row["slug"] for row in from_variable.json] == ["production"]
    from_flag = await shop.paas(
        "envs", "list", "--json", "--project", "storefront", env={"PAAS_PROJECT": "blog"}
    )
    assert len(from_flag.json) == 2
    undecided = await shop.paas("status", "--project", "blog")
    assert undecided.code == 2
    assert "Which app? Say --app" in undecided.err


async def test_environment_is_kept_for_roles_and_let_go(shop: Terminal) -> None:
    await shop.ok("envs", "protect", "production", "--role", "admin")
    assert ["Protected for", "owner, admin"] in (await shop.ok("envs", "show", "production")).rows
    assert (await shop.paas("envs", "protect", "production")).code == 2
    await shop.ok("envs", "protect", "production", "--off")
    assert (await shop.ok("envs", "show", "production", "--json")).json["protectedFor"] is None


async def test_person_is_invited_with_a_link(shop: Terminal) -> None:
    invited = await shop.ok("members", "invite", "grace@example.com", "viewer")
    assert invited.out.startswith(shop.host)
    assert "good for one use" in invited.err
