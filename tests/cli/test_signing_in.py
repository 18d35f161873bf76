"""Tokens: given once, kept for their owner alone, and sent to no other platform."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.cli.world import Terminal
from tests.conftest import free_port


def _kept(terminal: Terminal) -> Path:
    return Path(terminal.environment["XDG_CONFIG_HOME"]) / "paas" / "hosts.json"


async def test_token_is_read_from_a_pipe_checked_and_kept_for_the_owner_alone(
    fresh: Terminal,
) -> None:
    signed = await fresh.ok("login", fresh.host, stdin=f"{fresh.token}\n")
    assert signed.err == f"Signed in to {fresh.host} as ada.\n"
    assert stat.S_IMODE(_kept(fresh).stat().st_mode) == 0o600
    who = (await fresh.ok("whoami", "--json")).json
    assert (who["host"], who["user"]["name"], who["token"]["name"]) == (fresh.host, "ada", "laptop")
    assert (await fresh.ok("whoami")).rows[:2] == [["Host", fresh.host], ["User", "ada"]]
    await fresh.ok("logout")
    assert fresh.token not in _kept(fresh).read_text()
    refused = await fresh.paas("whoami")
    assert (refused.code, refused.err) == (
        3,
        " !  Not signed in to any platform.\n    Type: paas login HOST\n",
    )


async def test_wrong_token_is_not_kept(fresh: Terminal) -> None:
    for token in ("paas_wrong", "", "two\nlines", "paas_é"):
        refused = await fresh.paas("login", fresh.host, stdin=token)
        assert refused.code == 3, refused
    assert not _kept(fresh).exists()


async def test_revoked_token_ends_with_three_and_says_what_to_type(shop: Terminal) -> None:
    await shop.ok("tokens", "revoke", "laptop")
    refused = await shop.paas("orgs", "list")
    assert refused.code == 3
    assert "paas login" in refused.err


async def test_no_answer_is_another_ending_than_a_refusal(fresh: Terminal) -> None:
    refused = await fresh.paas("login", f"http://127.0.0.1:{free_port()}", stdin=fresh.token)
    assert refused.code == 5
    assert "does not answer" in refused.err


async def test_what_is_no_address_is_a_usage_error(fresh: Terminal) -> None:
    for address in ("ftp://x", "http://user:password@x", "http://x:y", "http://"):
        assert (await fresh.paas("login", address, stdin=fresh.token)).code == 2, address


async def test_token_of_the_environment_goes_only_to_the_platform_that_was_said(
    shop: Terminal,
) -> None:
    """A link comes with a clone, from whoever wrote it."""
    await shop.ok("logout")
    ci = {"PAAS_TOKEN": shop.token}
    refused = await shop.paas("orgs", "list", env=ci)
    assert refused.code == 2
    assert "PAAS_HOST" in refused.err
    said = await shop.paas("orgs", "list", env={**ci, "PAAS_HOST": shop.host})
    assert said.rows[0][0] == "acme"


async def test_token_of_one_platform_is_not_sent_to_another(shop: Terminal) -> None:
    (shop.folder / ".paas.toml").write_text('host = "http://127.0.0.1:9"\n')
    refused = await shop.paas("orgs", "list")
    assert (refused.code, "Not signed in to http://127.0.0.1:9." in refused.err) == (3, True)


async def test_a_token_is_shown_once_listed_and_revoked(shop: Terminal) -> None:
    made = await shop.ok("tokens", "create", "ci", "--days", "90")
    secret = made.out.strip()
    (listed,) = [
        row for row in (await shop.ok("tokens", "list", "--json")).json if row["name"] == "ci"
    ]
    assert listed["expiresAt"] is not None
    assert secret not in json.dumps(listed)
    assert (await shop.paas("whoami", env={"PAAS_TOKEN": secret, "PAAS_HOST": shop.host})).code == 0
    await shop.ok("tokens", "revoke", "ci")
    assert (await shop.paas("whoami", env={"PAAS_TOKEN": secret, "PAAS_HOST": shop.host})).code == 3
    assert (await shop.paas("tokens", "revoke", "ci")).code == 4


@pytest.mark.slow
async def test_token_of_ci_may_deploy_staging_and_nothing_else(shop: Terminal) -> None:
    await shop.ok("deploy")
    arguments = ("ci", "--for", "acme/storefront/*/staging", "--may", "deploy", "--days", "90")
    secret = (await shop.ok("tokens", "create", *arguments)).out.strip()
    rows = {row[0]: row[2:4] for row in (await shop.ok("tokens", "list")).rows}
    assert rows["ci"][0] == "acme/storefront/*/staging"
    assert "deploy" in rows["ci"][1]
    ci = {"PAAS_TOKEN": secret, "PAAS_HOST": shop.host, "PAAS_ENV": "staging"}
    await shop.git("config", "--remove-section", "remote.paas")
    assert (await shop.paas("deploy", env=ci)).code == 0
    assert (await shop.paas("status", env=ci)).code == 0
    elsewhere = await shop.paas("deploy", "--env", "production", env=ci)
    assert (elsewhere.code, "no environment production" in elsewhere.err) == (4, True)
    await shop.git("commit", "--quiet", "--allow-empty", "--message", "Not for production")
    tree = "+HEAD:refs/paas/trees/production"
    with pytest.raises(AssertionError, match="belongs to the environment production"):
        await shop.git(
            "push", shop.host.replace("//", f"//x:{secret}@") + "/git/acme/storefront/web.git", tree
        )
    for refused in (
        ["deploy", "main", "--env", "production"],
        ["promote", "production"],
        ["env", "set", "A=1"],
        ["scale", "--replicas", "2"],
        ["tokens", "create", "more"],
    ):
        ran = await shop.paas(*refused, env=ci)
        assert ran.code == 4, (refused, ran)
    assert (await shop.paas("members", "list", env=ci)).out == ""
    assert (await shop.ok("deployments", "list", "--json")).json[0]["number"] == 1
    missing = await shop.paas("tokens", "create", "x", "--for", "acme/nothing")
    assert missing.code == 4
