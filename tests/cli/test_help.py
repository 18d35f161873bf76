"""``paas --help`` loads nothing of the platform, and every command that it lists exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
from click.testing import CliRunner

from app.cli import main as main_module
from app.cli import reference
from app.cli.failures import (
    EXIT_CODES,
    ClientFailure,
    NotSignedIn,
    OutOfReach,
    Unreachable,
)
from app.cli.main import cli


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from app.cli.main import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = finished.stdout.splitlines()[-1]
    for heavy in ("sqlalchemy", "strawberry", "asyncio", "psutil", "git", "alembic", "msgspec"):
        assert f"'{heavy}'" not in loaded, heavy


def test_every_listed_command_can_be_loaded() -> None:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        result = CliRunner().invoke(command, ["--help"])
        assert result.exit_code == 0, (name, result.output)


def test_page_of_the_commands_is_what_the_commands_say() -> None:
    assert reference.PAGE.read_text() == reference.page(), "type: make cli-docs"


def test_reading_commands_load_no_heavy_library() -> None:
    """Neither the platform nor, in a pipe, what draws tables."""
    code = (
        "import sys\n"
        "from app.cli.commands import apps, deploying, logs, looking, sign_in, variables\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for heavy in ("sqlalchemy", "strawberry", "graphql", "asyncio", "rich", "httpx2", "starlette"):
        assert f"'{heavy}'" not in finished.stdout, heavy


def test_completion_offers_commands_and_options_without_loading_them() -> None:
    """What each shell's script asks for."""
    for shell in ("bash", "zsh", "fish"):
        script = CliRunner().invoke(cli, ["completion", shell])
        assert f"_PAAS_COMPLETE={shell}_complete" in script.output
    assert _completed("paas pr") == {"projects", "promote"}
    assert _completed("paas env s") == {"set"}
    assert {"--env", "--no-wait"} <= _completed("paas deploy --")


def _completed(line: str) -> set[str]:
    words = line.split(" ")
    told = {
        **os.environ,
        "_PAAS_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = [sys.executable, "-c", "from app.cli.main import main; main()"]
    finished = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    return {found.partition(",")[2] for found in finished.stdout.splitlines()}


def test_failures_end_with_the_codes_that_are_written_down() -> None:
    kinds = (ClientFailure, NotSignedIn, OutOfReach, Unreachable)
    assert {kind.exit_code for kind in kinds} | {0, 2, 130} == {code for code, _ in EXIT_CODES}


def test_every_command_that_is_told_to_type_exists() -> None:
    """In messages, hints and pages: quoted, so that prose about a `paas` is left alone."""
    root = Path(__file__).resolve().parents[2]
    pages = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("nomad/**/*.md")]
    quoted = re.compile(
        r"(?:`|type: |^|with: )paas ((?:[a-z][a-z-]*(?: |(?=`|$|\W)))+)", re.MULTILINE
    )
    told = {
        line.strip()
        for file in (*root.glob("app/**/*.py"), *pages)
        for line in quoted.findall(file.read_text())
    }
    assert {"up", "admin purge", "engine install", "doctor"} <= told
    for line in sorted(told):
        command: click.Command = cli
        for word in line.split():
            if not isinstance(command, click.Group):
                break
            found = command.get_command(click.Context(command), word)
            assert found is not None, f"`paas {line}` does not exist"
            command = found


def test_failure_of_ours_is_two_lines_not_a_traceback(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", main_module.__name__, "migrate"],
        capture_output=True,
        text=True,
        env={"PAAS_HOME": str(tmp_path), "PATH": "/usr/bin"},
        check=False,
    )
    assert finished.returncode == 1
    assert "There is no embedded Postgres" in finished.stderr
    assert "`paas up`" in finished.stderr
    assert "Traceback" not in finished.stderr
