"""The README's story and what follows it, from a terminal and without curl, on a platform that runs for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.up.platform import Home, temporary_home, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "python-procfile"


@dataclass
class Person:
    """At a terminal of their own; ``run`` types a command in the app's clone."""

    home: Home
    folder: Path
    token: str = ""

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
        }
        if self.token:
            host = f"http://127.0.0.1:{self.home.port('API')}"
            environment |= {"PAAS_TOKEN": self.token, "PAAS_HOST": host}
        return subprocess.run(
            command,
            cwd=self.folder / "shop",
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def ok(self, *command: str, stdin: str = "") -> str:
        done = self.run(*command, stdin=stdin)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def json(self, *command: str) -> Any:
        done = self.run(*command, "--json")
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def page(self, environment: str) -> str:
        host = f"acme.storefront-web-{environment}.apps.localhost"
        return self.home.get("INGRESS", host=host)[1]


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[Person]:
    with temporary_home() as home:
        running = home.up()
        running.until("The platform is up")
        shutil.copytree(SAMPLE, tmp_path / "shop")
        person = Person(home, tmp_path)
        person.ok("git", "init", "-q", "-b", "main")
        person.ok("git", "add", "--all")
        person.ok("git", "commit", "-qm", "First")
        yield person
        assert running.interrupt() == 0


def test_from_nothing_to_live_changed_rolled_back_promoted_and_shared(ada: Person) -> None:
    _goes_live(ada)
    _is_configured(ada)
    _goes_out_as_it_is(ada)
    _fails_and_goes_back(ada)
    _is_shared_with_a_machine_that_may_deploy_staging(ada)


def _goes_live(ada: Person) -> None:
    host = f"http://127.0.0.1:{ada.home.port('API')}"
    token = (ada.home.folder / "admin.token").read_text()
    ada.ok("paas", "login", host, stdin=token)
    ada.ok("paas", "init", "acme/storefront/web", "--create")
    ada.ok("paas", "envs", "create", "staging", "--branch", "staging")
    assert "Live at" in ada.ok("git", "push", "paas", "main")
    assert ada.json("paas", "status")["status"] == "RUNNING"
    assert ada.page("production") != ""


def _is_configured(ada: Person) -> None:
    ada.ok("paas", "env", "set", "GREETING", stdin="Good morning\n")
    until(lambda: "Good morning" in ada.page("production"))
    ada.ok("paas", "scale", "--replicas", "2", "--cpu", "50")
    until(
        lambda: [each["healthy"] for each in ada.json("paas", "status")["containers"]] == [True] * 2
    )
    ada.ok("paas", "rollback", "1")
    until(lambda: "Good morning" not in ada.page("production"))
    assert ada.json("paas", "scale")["replicas"] == 1


def _goes_out_as_it_is(ada: Person) -> None:
    """To staging, uncommitted; then to production, unbuilt."""
    page = ada.folder / "shop" / "page.html"
    page.write_text(page.read_text() + "<!-- not committed -->")
    said = ada.ok("paas", "deploy", "--env", "staging")
    assert "-----> Building\n       " in said
    assert "not committed" in ada.page("staging")
    assert ada.run("git", "status", "--porcelain").stdout.split() != []
    ada.ok("paas", "promote", "production", "--env", "staging")
    until(lambda: "not committed" in ada.page("production"))


def _fails_and_goes_back(ada: Person) -> None:
    procfile = ada.folder / "shop" / "Procfile"
    kept = procfile.read_text()
    procfile.write_text("web: echo the reason why >&2; exit 3\n")
    failed = ada.run("paas", "deploy")
    assert failed.returncode == 1, failed
    assert "the reason why" in failed.stderr
    assert "not committed" in ada.page("production")
    until(lambda: "the reason why" in ada.run("paas", "logs", "--since", "1h").stdout)
    procfile.write_text(kept)


def _is_shared_with_a_machine_that_may_deploy_staging(ada: Person) -> None:
    command = ("tokens", "create", "ci", "--for", "acme/storefront/*/staging", "--may", "deploy")
    secret = ada.run("paas", *command).stdout.strip()
    machine = Person(ada.home, ada.folder, token=secret)
    machine.ok("paas", "deploy", "--env", "staging")
    ada.ok("git", "commit", "-qam", "Second")
    for refused in (
        ("paas", "deploy"),
        ("paas", "env", "set", "A=1", "--env", "staging"),
        ("paas", "promote", "production", "--env", "staging"),
        ("git", "push", "paas", "main"),
    ):
        assert machine.run(*refused).returncode != 0, refused
