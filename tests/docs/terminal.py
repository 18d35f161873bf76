"""The reader's terminal: one shell, in a clone of a sample, beside a platform that runs."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT, Block, missing_lines
from tests.up.platform import Home

SAMPLE = "python-procfile"
_PORTS = {"7070": "API", "7080": "INGRESS"}
_ASKPASS = '#!/bin/sh\ncase $1 in Username*) echo any ;; *) cat "$HOME/.local/share/paas/admin.token" ;; esac\n'


@dataclass
class Terminal:
    home: Home
    shell: subprocess.Popen[str]
    script: Path
    """Where what is typed is put, so that a command which reads its input does not take the next one."""

    def type(self, block: Block) -> None:
        """Run the block. Raises AssertionError when a command fails, or a promised line is not printed."""
        output, failed = self.run(self._here(block.commands))
        report = f"\n{block.place} printed:\n{output}"
        assert not failed, f"these commands failed: {failed}{report}"
        missing = missing_lines([self._here(line) for line in block.printed], output)
        assert not missing, "never printed:\n" + "\n".join(missing) + report
        if not any('"error"' in line or "errors" in line for line in block.printed):
            assert '"error":{' not in output, report
        self._settle()

    def run(self, commands: str) -> tuple[str, list[str]]:
        """What the commands printed, and those of them that failed."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        mark = uuid.uuid4().hex
        self.script.write_text(commands)
        self.shell.stdin.write(f"source {self.script} < /dev/null\nprintf '\\n%s\\n' {mark}\n")
        self.shell.stdin.flush()
        printed: list[str] = []
        for line in self.shell.stdout:
            if line.strip() == mark:
                break
            printed.append(line)
        failed = [line[len(_FAILED) :].strip() for line in printed if line.startswith(_FAILED)]
        return "".join(line for line in printed if not line.startswith(_FAILED)), failed

    def _here(self, text: str) -> str:
        """The ports of this platform instead of the usual ones."""
        for usual, name in _PORTS.items():
            text = text.replace(f":{usual}", f":{self.home.port(name)}")
        return text

    def _settle(self) -> None:
        """Wait for deployments under way, as a reader does who watches."""
        deadline = time.monotonic() + 60
        while self._unfinished():
            assert time.monotonic() < deadline, "a deployment did not end in time"
            time.sleep(0.1)

    def _unfinished(self) -> bool:
        query = (
            '{ resource(path: "acme/storefront/web") { ... on App { instances { nodes {'
            " deployments(first: 1) { nodes { finishedAt } } } } } } }"
        )
        app = self._graphql(query)["data"]["resource"]
        newest = [each["deployments"]["nodes"] for each in app["instances"]["nodes"]] if app else []
        return any(deployment["finishedAt"] is None for found in newest for deployment in found)

    def _graphql(self, query: str) -> Any:
        token = (self.home.folder / "admin.token").read_text().strip()
        connection = http.client.HTTPConnection("127.0.0.1", self.home.port("API"), timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", "/graphql", json.dumps({"query": query}), headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


_FAILED = "a command failed: "
_PROMPT = f"trap 'printf \"\\n{_FAILED}%s\\n\" \"${{BASH_COMMAND%%$'\"'\"'\\n'\"'\"'*}}\"' ERR\n"


@contextmanager
def terminal(home: Home, folder: Path) -> Iterator[Terminal]:
    """A shell at the top of a clone with the branches that the story pushes."""
    (folder / ".local" / "share").mkdir(parents=True)
    (folder / ".local" / "share" / "paas").symlink_to(home.folder)
    askpass = folder / "askpass"
    askpass.write_text(_ASKPASS)
    askpass.chmod(0o755)
    work = folder / "shop"
    shutil.copytree(ROOT / "samples" / SAMPLE, work)
    environment = {**home.environment, **_person(folder, askpass)}
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=work,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    opened = Terminal(home, shell, folder / "typed.sh")
    try:
        _, failed = opened.run(
            _PROMPT + "git init -q -b main && git add -A && git commit -qm First\n"
            "git branch staging && git branch feature/x"
        )
        assert not failed
        yield opened
    finally:
        shell.kill()
        shell.communicate()


def _person(folder: Path, askpass: Path) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ASKPASS": str(askpass),
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        "LC_ALL": "C.UTF-8",
    }
