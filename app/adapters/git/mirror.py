"""Fetching from a repository that somebody else runs, who may not wish us well.

Only smart HTTP, to the addresses that were judged (curl is told them, and asks no resolver), without
redirects and so without dumb HTTP's alternates; no submodules, no tags, no hooks, no credential helpers.
What arrives is checked like what is pushed, kept as one pack of limited size, in a limited time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import resource
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from app.adapters.git.home import GitHome
from app.adapters.git.process import GitFailed, communicate, limit_memory, spawn
from app.errors import ExternalFailure
from app.ports.mirrors import RemoteRefused, Source
from app.refs import BRANCHES, HIDDEN, is_object_id, ref_problem

FETCH_SECONDS = 600.0
LOOK_SECONDS = 30.0
_SAID = 300
_NOT_LET_IN = (
    "Authentication failed",
    "could not read Username",
    "Repository not found",
    "403",
    "401",
)


async def fetch(
    path: Path,
    home: GitHome,
    source: Source,
    branch: str,
    *,
    max_bytes: int,
    seconds: float = FETCH_SECONDS,
) -> str | None:
    """See ``Mirrors.fetch``."""
    ref = BRANCHES + branch
    problem = ref_problem(ref)
    if problem is not None:
        raise RemoteRefused(f"The branch cannot be kept here: {problem}.")
    environment = {**home.environment(), **_configuration(source)}
    listed = await _git(
        ("ls-remote", "--heads", "--", source.url, ref), environment, LOOK_SECONDS, 1024 * 1024
    )
    commits = [line.split("\t") for line in listed.decode(errors="replace").splitlines()]
    if not any(name == ref for _, name in commits):
        return None
    kept = f"{HIDDEN}remote/{hashlib.sha256(branch.encode()).hexdigest()[:32]}"
    try:
        await _fetch_into(path, kept, ref, source.url, environment, seconds, max_bytes)
    except ExternalFailure:
        await asyncio.to_thread(_sweep, path)
        raise
    found = await _git(
        ("-C", str(path), "rev-parse", "--verify", "--quiet", f"{kept}^{{commit}}"),
        home.environment(),
        LOOK_SECONDS,
        max_bytes,
    )
    sha = found.decode().strip()
    if not is_object_id(sha):
        raise ExternalFailure("The remote's branch is no commit of SHA-1.")
    return sha


async def _fetch_into(
    path: Path,
    kept: str,
    ref: str,
    url: str,
    environment: Mapping[str, str],
    seconds: float,
    max_bytes: int,
) -> None:
    options = (
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--no-auto-maintenance",
    )
    command = ("-C", str(path), "fetch", *options, "--", url, f"+{ref}:{kept}")
    await _git(command, environment, seconds, max_bytes)


def _sweep(path: Path) -> None:
    """What a fetch that was cut off has left: pushes and packing keep theirs under other names."""
    for left in (path / "objects" / "pack").glob("tmp_*"):
        left.unlink(missing_ok=True)


def _configuration(source: Source) -> Mapping[str, str]:
    """In the environment, which only our own user can read, and not among the arguments."""
    parts = urlsplit(source.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = ",".join(f"[{one}]" if ":" in one else one for one in source.addresses)
    settings = {
        "protocol.allow": "never",
        f"protocol.{parts.scheme}.allow": "always",
        "http.followRedirects": "false",
        "http.curloptResolve": f"{parts.hostname}:{port}:{addresses}",
        "http.proxy": "",
        "http.lowSpeedLimit": "1000",
        "http.lowSpeedTime": "30",
        "http.sslVerify": "true",
        "credential.helper": "",
        "core.askPass": "/bin/false",
        "fetch.fsckObjects": "true",
        "fetch.unpackLimit": "1",
        "fetch.recurseSubmodules": "false",
        "transfer.credentialsInUrl": "die",
        "transfer.bundleURI": "false",
    }
    if source.password:
        secret = base64.b64encode(f"{source.user}:{source.password}".encode()).decode()
        settings["http.extraHeader"] = f"Authorization: Basic {secret}"
    found = {"GIT_CONFIG_COUNT": str(len(settings)), "GIT_ASKPASS": "/bin/false"}
    for number, (name, value) in enumerate(settings.items()):
        found[f"GIT_CONFIG_KEY_{number}"], found[f"GIT_CONFIG_VALUE_{number}"] = name, value
    return found


async def _git(
    arguments: tuple[str, ...], environment: Mapping[str, str], seconds: float, max_bytes: int
) -> bytes:
    """Raises ExternalFailure in words that may be shown."""
    process = await spawn(*arguments, env=environment)
    limit_memory(process)
    _limit_files(process, max_bytes)
    try:
        async with asyncio.timeout(seconds):
            return await communicate(process, "fetch", b"")
    except TimeoutError as error:
        raise ExternalFailure(f"The remote was not done within {seconds:g} s.") from error
    except GitFailed as error:
        raise _in_words(error, max_bytes) from error


def _limit_files(process: Process, max_bytes: int) -> None:
    """Of it and its helpers: a pack that grows larger ends the fetch."""
    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (max_bytes, max_bytes))


def _in_words(error: GitFailed, max_bytes: int) -> ExternalFailure:
    said = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    text = " / ".join(said)
    if "index-pack" in text:
        found = [
            line.removeprefix("fatal: ") for line in said if "fsck" in line or "missing" in line
        ]
        problem = found[0][:_SAID] if found else f"it is larger than {max_bytes // 1024**2} MB"
        return RemoteRefused(f"The branch cannot be kept here: {problem}.")
    if any(words in text for words in _NOT_LET_IN):
        return RemoteRefused(
            "The remote did not let us in, or has no such repository: check the URL and the token."
        )
    last = next((line for line in reversed(said) if line.startswith("fatal:")), text)
    return ExternalFailure(f"git could not fetch: {last.removeprefix('fatal: ')[:_SAID]}.")
