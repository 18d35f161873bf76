"""What a preview environment may be called, and what a rule may say: pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from app.errors import InvalidInput, LimitReached
from app.names import MAX_HOSTNAME, MAX_LABEL, is_slug, valid_branch_pattern

BRANCH = "{branch}"
"""In a template: the branch as a slug."""
MAX_PREVIEW_SLUG = 32
"""Shorter than a label may be, so that a later app with a longer name still has a hostname there."""
MAX_ENVIRONMENTS = 50
MAX_IDLE_HOURS = 24 * 365
_MAX_FIXED = 20
_DIGEST = 6
_SHORTEST = _DIGEST + 2
_CANDIDATES = 5


def valid_preview_pattern(value: str) -> str:
    """A glob: an exact branch would be an environment of its own."""
    valid_branch_pattern(value)
    if not set(value) & set("*?"):
        raise InvalidInput(
            f"A preview rule is for many branches, and {value!r} is the name of one.",
            field="branchPattern",
            hint="Use a glob such as pr-*; for a single branch, create an environment.",
        )
    return value


def valid_template(value: str) -> str:
    """``{branch}`` once, in what else could be a slug."""
    fixed = value.replace(BRANCH, "", 1)
    if BRANCH not in value or not is_slug(value.replace(BRANCH, "x", 1)) or len(fixed) > _MAX_FIXED:
        raise InvalidInput(
            f"{value[:80]!r} cannot name preview environments.",
            field="slugTemplate",
            hint=f"Use {BRANCH}, or a slug with it and up to {_MAX_FIXED} more characters:"
            f" preview-{BRANCH}.",
        )
    return value


def valid_limits(max_environments: int, idle_hours: int | None) -> None:
    if not 1 <= max_environments <= MAX_ENVIRONMENTS:
        raise LimitReached(
            f"A project has between 1 and {MAX_ENVIRONMENTS} preview environments,"
            f" and this says {max_environments}.",
            field="maxEnvironments",
        )
    if idle_hours is not None and not 1 <= idle_hours <= MAX_IDLE_HOURS:
        raise InvalidInput(
            f"An idle time is between 1 and {MAX_IDLE_HOURS} hours, and this is {idle_hours}.",
            field="idleHours",
            hint="Leave it out, and a preview goes only with its branch.",
        )


def room_for_slug(organization: str, project: str, apps: Sequence[str], base: str) -> int:
    """How long an environment's slug may be, so that every app has a hostname there."""
    longest = max((len(app) for app in apps), default=0)
    in_label = MAX_LABEL - len(project) - longest - 2
    in_hostname = MAX_HOSTNAME - len(organization) - len(base) - 2 - len(project) - longest - 2
    return min(MAX_PREVIEW_SLUG, in_label, in_hostname)


def slug_candidates(template: str, branch: str, room: int) -> Sequence[str]:
    """Slugs for the branch's environment, the nicest first; always the same ones.

    The first is the branch as it reads (``feature/Login`` → ``feature-login``). Two branches may read the
    same, and a former environment may still be stopping: the others end with a digest of the branch.
    Empty when ``room`` is too small for any.
    """
    if room < _SHORTEST:
        return []
    whole = template.replace(BRANCH, slugified(branch) or _digest(branch, 0)).strip("-")
    whole = re.sub("-{2,}", "-", whole)
    fits = [whole] if len(whole) <= room else []
    stem = whole[: room - _DIGEST - 1].rstrip("-")
    return fits + [f"{stem}-{_digest(branch, number)}" for number in range(1, _CANDIDATES)]


def slugified(branch: str) -> str:
    """Its ASCII letters and digits in lower case, everything else as single ``-``; perhaps empty."""
    decomposed = unicodedata.normalize("NFKD", branch).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9]+", "-", decomposed.lower()).strip("-")


def _digest(branch: str, number: int) -> str:
    return hashlib.sha256(f"{number}\0{branch}".encode()).hexdigest()[:_DIGEST]
