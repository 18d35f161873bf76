"""The same command on a terminal and in a pipe; what apps and people wrote is never obeyed by a terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Mapping

import pytest

from app.cli import output
from tests.cli.world import Terminal


async def _on_a_terminal(
    shop: Terminal, *arguments: str, env: Mapping[str, str] | None = None
) -> str:
    return await asyncio.to_thread(_through_a_pty, shop, arguments, env or {})


def _through_a_pty(shop: Terminal, arguments: tuple[str, ...], env: Mapping[str, str]) -> str:
    ours, theirs = pty.openpty()
    environment = {**shop.environment, "TERM": "xterm-256color", "COLUMNS": "120", **env}
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    process = subprocess.Popen(
        command, cwd=shop.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how a terminal says that nobody has it open any more
            break
        if not chunk:
            break
        said += chunk
    os.close(ours)
    assert process.wait() == 0, said
    return said.decode()


@pytest.mark.slow
async def test_people_get_headings_and_colour_and_a_pipe_gets_rows(shop: Terminal) -> None:
    await shop.ok("deploy")
    for_people = await _on_a_terminal(shop, "deployments", "list")
    assert "NUMBER" in for_people
    assert "\x1b[" in for_people
    assert "just now" in for_people
    plain = await _on_a_terminal(shop, "deployments", "list", env={"NO_COLOR": "1"})
    assert "NUMBER" in plain
    assert "\x1b[3" not in plain
    piped = await shop.ok("deployments", "list")
    assert piped.err == ""
    assert "NUMBER" not in piped.out
    assert "\x1b" not in piped.out
    assert len(piped.rows[0]) == 7


@pytest.mark.slow
async def test_waiting_turns_a_spinner_for_people_only(shop: Terminal) -> None:
    for_people = await _on_a_terminal(shop, "deploy")
    assert "\x1b[?25l" in for_people  # the cursor is hidden while it turns
    assert "Live at" in for_people
    piped = await shop.ok("deploy")
    assert "\x1b" not in piped.out + piped.err


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;title\x07fix", "fix"),
        ("\x1b[2Jgone", "gone"),
        ("a\x9b31mb", "a31mb"),
        ("one\r\ntwo\x07", "one two"),
        ("\x1b]52;c;aGk=\x1b\\copied", "copied"),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(hostile: str, shown: str) -> None:
    assert output.clean(hostile) == shown


def test_log_lines_keep_their_colour_on_a_terminal_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = "\x1b[32mok\x1b[0m \x1b[2Jdone\x00"
    assert output.log_text(line) == line
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert output.log_text(line) == "\x1b[32mok\x1b[0m done\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.log_text(line) == "ok done"
