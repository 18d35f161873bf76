"""What commands do with the user's own git."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.cli.failures import ClientFailure
from app.cli.link import NAME as LINK


@dataclass(frozen=True)
class Repository:
    """A clone, or a plain folder that is looked at as one."""

    top: Path
    environment: Mapping[str, str]

    def git(self, *arguments: str, **variables: str) -> str:
        """What git printed. Raises ClientFailure with what it said."""
        return run(*arguments, folder=self.top, environment={**self.environment, **variables})

    def tries(self, *arguments: str) -> str | None:
        """What git printed, or None when it ended with a failure."""
        try:
            return self.git(*arguments)
        except GitRefused:
            return None


class GitRefused(ClientFailure):
    """git ended with a failure; the message is its own."""


def run(*arguments: str, folder: Path, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise ClientFailure("git is not installed.", hint="Install it, and try again.") from error
    if done.returncode != 0:
        verb = next(word for word in arguments[::2] if word != "-c")
        raise GitRefused(f"git {verb} failed: {_told(done.stderr)}")
    return done.stdout.strip()


def _told(stderr: str) -> str:
    """Why, in one line: of a refused push the reason alone."""
    lines = [line.removeprefix("fatal: ").strip() for line in stderr.splitlines()]
    refused = [line.partition(" (")[2][:-1] for line in lines if "[remote rejected]" in line]
    return " ".join(refused or filter(None, lines)) or "it did not say why"


def clone_of(folder: Path) -> Repository | None:
    """The clone that ``folder`` is in, or None."""
    environment = dict(os.environ)
    try:
        top = run("rev-parse", "--show-toplevel", folder=folder, environment=environment)
    except GitRefused:
        return None
    return Repository(Path(top), environment)


@contextmanager
def working_tree(folder: Path) -> Iterator[Repository]:
    """The clone that ``folder`` is in; where there is none, the folder itself, with a git of its own."""
    found = clone_of(folder)
    if found is not None:
        yield found
        return
    with tempfile.TemporaryDirectory(prefix="paas-tree-") as scratch:
        apart = {"GIT_DIR": scratch, "GIT_WORK_TREE": str(folder)}
        plain = Repository(folder, {**os.environ, **apart})
        plain.git("init", "--quiet")
        yield plain


def commit_of_files(repository: Repository) -> tuple[str, bool]:
    """A commit of the files as they are, without what git ignores and a link that was not committed; and
    whether it had to be made.

    Neither the branch nor the index changes: the commit is on no branch, and git forgets it in time.
    """
    head = repository.tries("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    with tempfile.TemporaryDirectory(prefix="paas-index-") as scratch:
        index = Path(scratch) / "index"
        present = Path(repository.git("rev-parse", "--absolute-git-dir")) / "index"
        if present.exists():
            shutil.copyfile(present, index)  # so that git need not read every file again
        files = (":/", f":(exclude,top){LINK}")
        repository.git("add", "--all", "--", *files, GIT_INDEX_FILE=str(index))
        tree = repository.git("write-tree", GIT_INDEX_FILE=str(index))
    if head is not None and repository.git("rev-parse", f"{head}^{{tree}}") == tree:
        return head, False
    subject = repository.git("log", "-1", "--format=%s", head) if head is not None else "new"
    message = f"Working tree: {subject}, with changes" if head is not None else "Working tree"
    parents = ["-p", head] if head is not None else []
    made = repository.git("commit-tree", tree, *parents, "-m", message, **_author(repository))
    return made, True


def _author(repository: Repository) -> dict[str, str]:
    """For those who never told git who they are."""
    if repository.tries("config", "user.email"):
        return {}
    names = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")
    addresses = ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
    told = {**dict.fromkeys(names, "paas"), **dict.fromkeys(addresses, "paas@localhost")}
    return {name: value for name, value in told.items() if name not in repository.environment}


def push(repository: Repository, url: str, refspec: str, host: str) -> None:
    """With the token of ``host``, which git asks for: it is in no argument. Raises ClientFailure."""
    helper = credential_helper(host)
    repository.git(
        "-c", "credential.helper=",
        "-c", f"credential.helper={helper}",
        "-c", "push.gpgSign=false",
        "-c", "push.pushOption=",
        "push", "--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", url, refspec,
    )  # fmt: skip


def credential_helper(host: str) -> str:
    """For ``credential.helper``: this program, so that it is found whatever PATH is then."""
    return f"!{shlex.join(program())} credential --host {shlex.quote(host)}"


def program() -> Sequence[str]:
    started_as = Path(sys.argv[0])
    if started_as.name == "paas" and started_as.exists():
        return [str(started_as.resolve())]
    return [sys.executable, "-m", "app.cli.main"]
