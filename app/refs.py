"""Which names git gives to refs: pure, and the same for every implementation of the Repositories port.

A pushed ref name is hostile input. It reaches git only through ``--stdin -z``, behind ``refs/…``, or as a
full object id, so that it can never be an option or a revision expression; this check comes first all
the same, for a clear answer and because git itself does not make it for refs that a hook moves.
"""

from __future__ import annotations

import re

from app.names import is_slug

BRANCHES = "refs/heads/"
TAGS = "refs/tags/"
HIDDEN = "refs/paas/"
"""The platform's own refs: never shown to clients, and but for TREES never taken from them."""
TREES = "refs/paas/trees/"
"""One for each environment: the files that `paas deploy` last sent for it. It deploys nothing by itself."""
ZERO = "0" * 40
"""The object id that stands for "no such ref" in an update."""
MAX_REF_BYTES = 1000

_OBJECT_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]")


def is_object_id(value: str) -> bool:
    return _OBJECT_ID.fullmatch(value) is not None


def ref_problem(ref: str) -> str | None:
    """Why git would not take ``ref`` (a full name, ``refs/…``), or None: git-check-ref-format(1)."""
    try:
        size = len(ref.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if size > MAX_REF_BYTES:
        return f"its name is longer than {MAX_REF_BYTES} bytes"
    parts = ref.split("/")
    if len(parts) < 2 or parts[0] != "refs":
        return "its name does not start with refs/"
    if _FORBIDDEN.search(ref):
        return "its name has a character that git forbids"
    if ".." in ref or "@{" in ref:
        return "its name contains '..' or '@{'"
    if len(parts) > 2 and parts[2].startswith("-"):
        return "its name starts with '-'"
    for part in parts:
        if not part:
            return "its name has an empty component"
        if part.startswith("."):
            return "a component of its name starts with '.'"
        if part.endswith((".", ".lock")):
            return "a component of its name ends with '.' or '.lock'"
        if len(part.encode()) > 200:
            return "a component of its name is longer than 200 bytes"
    return None


def branch_of(ref: str) -> str | None:
    """``refs/heads/feature/x`` → ``feature/x``; None for anything that is not a branch."""
    return ref[len(BRANCHES) :] if ref.startswith(BRANCHES) else None


def tree_of(ref: str) -> str | None:
    """``refs/paas/trees/staging`` → ``staging``; None for what is no such ref."""
    return ref[len(TREES) :] if ref.startswith(TREES) and is_slug(ref[len(TREES) :]) else None


def full_names(name: str) -> list[str]:
    """The full refs that a person may mean by ``name``, in the order to try them."""
    candidates = [name] if name.startswith("refs/") else [BRANCHES + name, TAGS + name]
    return [ref for ref in candidates if ref_problem(ref) is None]
