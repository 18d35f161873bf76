"""What every git process of ours is given: one configuration file, one folder of hooks, a clean environment.

The configuration is not written into the repositories: a new version of the platform then applies to
all of them at once, and nothing that a repository's folder holds can loosen it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from app.adapters.git import hook

_CONFIGURATION = """\
# Written by the platform at each start; changes here are lost.
[core]
	hooksPath = {hooks}
	logAllRefUpdates = always
	# Larger files are streamed instead of held in memory.
	bigFileThreshold = 4m
	deltaBaseCacheLimit = 16m
	fsmonitor = false
	untrackedCache = false
	# A quarantine borrows from its own repository alone, whose refs are looked at anyway: not a second time.
	alternateRefsCommand = true
[safe]
	directory = *
[transfer]
	fsckObjects = true
	hideRefs = refs/paas
[receive]
	# Of the platform's own refs, these are pushed by `paas deploy`.
	hideRefs = !refs/paas/trees
	maxInputSize = {max_bytes}
	shallowUpdate = true
	advertisePushOptions = true
	procReceiveRefs = refs
	autogc = false
	updateServerInfo = false
	# Seconds; so that no proxy closes a push that waits for its deployments.
	keepAlive = 5
[uploadpack]
	allowAnySHA1InWant = false
	allowFilter = true
[pack]
	windowMemory = 32m
	threads = 1
	writeBitmaps = false
[gc]
	auto = 0
	autoDetach = false
	# A commit that was ever deployed can be built again: what a reflog names is kept.
	reflogExpire = never
	reflogExpireUnreachable = never
"""

_PROTOCOL = re.compile(r"[A-Za-z0-9=:._-]{1,256}", re.ASCII)


class GitHome:
    """``folder`` holds ``config`` and ``hooks/``; made anew by ``prepare``."""

    def __init__(self, folder: Path, *, push_max_bytes: int) -> None:
        self._folder = folder
        self._push_max_bytes = push_max_bytes

    def prepare(self) -> None:
        hooks = self._folder / "hooks"
        hooks.mkdir(parents=True, exist_ok=True, mode=0o700)
        configuration = _CONFIGURATION.format(
            hooks=_quoted(str(hooks)), max_bytes=self._push_max_bytes
        )
        _replace(self._folder / "config", configuration, 0o600)
        _replace(hooks / "proc-receive", hook.SCRIPT, 0o700)

    def environment(self, protocol: str = "", **extra: str) -> Mapping[str, str]:
        """Nothing of this process's own ``GIT_*`` or secrets; ``protocol`` only if it is well-formed."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._folder / "config"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_COMMITTER_NAME": "paas",
            "GIT_COMMITTER_EMAIL": "paas@localhost",
        }
        if _PROTOCOL.fullmatch(protocol):
            environment["GIT_PROTOCOL"] = protocol
        return environment | extra


def _quoted(value: str) -> str:
    """As a git configuration value: the folder's name may hold anything."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _replace(path: Path, content: str, mode: int) -> None:
    """Several processes may start at once: each sees a whole file, old or new."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(content)
    fresh.chmod(mode)
    fresh.replace(path)
