"""``paas admin``: what an operator with a shell does, on the real database."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.crypto import SecretBox, load_secret_box, new_key, parse_keys
from app.db import Database
from app.errors import NotFound, PreconditionFailed
from app.instances import secrets
from app.models import EnvVar, Instance, Release
from app.settings import Settings
from app.tokens import service as tokens
from app.users import service as users
from tests.factories import make_build, make_instance, make_release

Paas = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def paas(database_url: str, tmp_path: Path) -> Paas:
    """Its engine does not answer: an operator's commands need none."""
    environment = {
        "PATH": os.environ["PATH"],
        "PAAS_HOME": str(tmp_path),
        "PAAS_DATABASE_URL": database_url,
        "PAAS_SCHEDULER": "nomad",
        "NOMAD_ADDR": "http://127.0.0.1:9",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "app.cli.main", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


async def test_first_token_is_an_operators(paas: Paas, database: Database) -> None:
    made = paas("admin", "token", "create")
    assert made.returncode == 0, made.stderr
    async with database.write_transaction() as session:
        actor = await tokens.authenticate(session, made.stdout.strip())
    assert (actor.name, actor.is_admin) == ("admin", True)


async def test_token_for_a_member_is_no_operators(paas: Paas, database: Database) -> None:
    await make_instance(database, organization="acme")
    made = paas("admin", "token", "create", "--user", "ci", "--org", "acme", "--role", "viewer")
    assert made.returncode == 0, made.stderr
    async with database.write_transaction() as session:
        actor = await tokens.authenticate(session, made.stdout.strip())
    assert (actor.name, actor.is_admin) == ("ci", False)


async def test_unknown_organization_is_said_in_words(paas: Paas) -> None:
    refused = paas("admin", "token", "create", "--user", "ci", "--org", "nobody")
    assert refused.returncode == 1
    assert refused.stderr.startswith(" !  ")
    assert "Traceback" not in refused.stderr


async def test_token_file_is_the_owners_alone(
    paas: Paas, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    made = paas("admin", "token", "create", "--output", str(file))
    assert file.read_text().strip() not in made.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_project_in_use_is_not_purged(paas: Paas, database: Database) -> None:
    await make_instance(database, organization="acme", project="storefront")
    refused = paas("admin", "purge", "acme/storefront", "--yes")
    assert refused.returncode == 1
    assert "Delete it first" in refused.stderr


async def test_rotation_keeps_values_and_comparisons_and_then_drops_the_old_key(
    paas: Paas, database: Database, tmp_path: Path
) -> None:
    settings = Settings(home=str(tmp_path))
    running = load_secret_box(settings)
    old = running.current_key_id
    instance_id, release_id = await _sealed_with(running, database)

    rotated = paas("admin", "rotate-key")
    assert rotated.returncode == 0, rotated.stderr
    assert rotated.stdout.startswith("2 secret(s)")

    async with database.read_session() as session:
        variable = await session.get(EnvVar, (instance_id, "TOKEN"))
        release = await session.get(Release, release_id)
    assert variable is not None
    assert release is not None
    assert old not in {variable.key_id, release.key_id}
    assert variable.digest == release.env_digests["TOKEN"]
    # The process that was running before the rotation reads on, and seals with the new key.
    assert secrets.open_value(running, variable) == "hunter2"
    assert secrets.open_release_env(running, release) == {"TOKEN": "hunter2"}
    assert running.seal(b"", context="").key_id == variable.key_id

    dropped = paas("admin", "rotate-key", "--drop-old")
    assert dropped.returncode == 0, dropped.stderr
    assert len(parse_keys((tmp_path / "secret.key").read_text())) == 1
    assert secrets.open_value(load_secret_box(settings), variable) == "hunter2"


async def _sealed_with(box: SecretBox, database: Database) -> tuple[str, str]:
    placed = await make_instance(database)
    instance: Instance = placed.instance
    build = await make_build(database, placed.app)
    release = await make_release(database, box, instance, build, env={"TOKEN": "hunter2"})
    async with database.write_transaction() as session:
        session.add(secrets.new_variable(box, instance.id, "TOKEN", "hunter2", is_build=False))
    return instance.id, release.id


def test_value_of_an_unknown_key_is_refused_in_words() -> None:
    sealed = SecretBox(parse_keys(new_key())).seal(b"x", context="c")
    with pytest.raises(PreconditionFailed, match="not configured"):
        SecretBox(parse_keys(new_key())).open(sealed, context="c")


async def test_a_user_is_given_a_link_to_set_a_password(paas: Paas, database: Database) -> None:
    made = paas("admin", "user", "create", "ada", "--email", "Ada@example.com", "--admin")
    assert made.returncode == 0, made.stderr
    anew = paas("admin", "user", "password", "ada")
    start = "http://127.0.0.1:7070/auth/#password="
    links = [shown.stdout.strip() for shown in (made, anew)]
    assert all(link.startswith(start) for link in links)
    async with database.read_session() as session:
        with pytest.raises(NotFound):
            await users.holder_of(session, links[0].removeprefix(start))
        user = await users.holder_of(session, links[1].removeprefix(start))
    assert (user.name, user.email, user.is_admin) == ("ada", "ada@example.com", True)
    assert paas("admin", "user", "password", "nobody").returncode == 1
