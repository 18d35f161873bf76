"""``paas doctor``: each lack is named with what to type, and only what is needed ends it with 1."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import free_port

_PORTS = ("API", "INGRESS", "INGRESS_API", "AGENT", "POSTGRES")


class Machine:
    """A home, ports, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.programs = folder / "bin"
        self.home.mkdir()
        self.programs.mkdir()
        self.environment = {
            "PATH": str(self.programs),
            "HOME": str(folder),
            "PAAS_HOME": str(self.home),
            **{f"PAAS_{name}_PORT": str(free_port()) for name in _PORTS},
        }

    def install(self, name: str, prints: str) -> None:
        program = self.programs / name
        program.write_text(f"#!/bin/sh\necho '{prints}'\n")
        program.chmod(0o755)

    def doctor(self) -> tuple[int, str]:
        command = [sys.executable, "-m", "app.cli.main", "doctor"]
        finished = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        assert not finished.stderr, finished.stderr
        return finished.returncode, finished.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.install("git", "git version 2.39.5")
    return machine


def test_what_only_some_apps_need_is_said_and_not_demanded(machine: Machine) -> None:
    code, said = machine.doctor()
    assert code == 0, said
    for lack, remedy in (
        ("No Node", "apt-get install nodejs npm"),
        ("No Nomad", "paas engine install"),
        ("No Consul", "paas engine install"),
    ):
        (line,) = [line for line in said.splitlines() if lack in line]
        assert line.startswith(" -")
        assert remedy in said
    assert said.endswith("All that `paas up` needs is here.\n")


@pytest.mark.parametrize("version", [None, "git version 2.20.1"])
def test_no_git_or_an_old_one_is_an_end(machine: Machine, version: str | None) -> None:
    (machine.programs / "git").unlink()
    if version:
        machine.install("git", version)
    code, said = machine.doctor()
    assert code == 1
    assert " !  git " in said
    assert "1 needed, and missing" in said


def test_a_taken_port_names_its_setting(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        machine.environment["PAAS_API_PORT"] = str(port)
        code, said = machine.doctor()
    assert code == 1
    assert f" !  Port {port}, for the API, is held by" in said
    assert "export PAAS_API_PORT=" in said


def test_a_secret_that_others_can_read_is_named_with_the_cure(machine: Machine) -> None:
    token = machine.home / "admin.token"
    token.write_text("paas_x\n")
    token.chmod(0o644)
    code, said = machine.doctor()
    assert code == 1
    assert f"chmod 600 {token}" in said


def test_a_key_that_is_none_is_named(machine: Machine) -> None:
    machine.environment["PAAS_SECRET_KEY"] = "short"
    code, said = machine.doctor()
    assert code == 1
    assert " !  The secret key: " in said
