"""Which environments a branch deploys to: pure.

An exact pattern beats every glob, of two globs the more specific wins, and ``*`` comes last. Every
environment that holds the winning pattern deploys.

A project's preview rule takes part with its own pattern: where that wins, the branch gets an environment
to itself, which holds the branch as its exact pattern from then on. An environment that holds the very
pattern of the rule has the precedence.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    branch: str
    environments: tuple[str, ...]
    """Slugs, in alphabetical order; empty when the branch deploys nowhere."""
    pattern: str | None
    reason: str
    """A sentence without its full stop: why these, or why none."""
    makes_preview: bool = False
    """The preview rule wins: there is no environment yet, and the branch makes its own."""


def match(branch: str, patterns: Mapping[str, str], preview: str | None = None) -> Match:
    """``patterns``: each environment's slug and branch pattern; ``preview``: the rule's pattern."""
    matching = {_plain(p) for p in patterns.values() if matches(p, branch)}
    rule = _plain(preview) if preview is not None and matches(preview, branch) else None
    if not matching and rule is None:
        return Match(branch, (), None, _why_none(branch, patterns, preview))
    winner = max(matching | ({rule} if rule is not None else set()), key=_specificity)
    slugs = tuple(sorted(slug for slug, p in patterns.items() if _plain(p) == winner))
    if not slugs:
        reason = f"the branch {branch!r} matches the pattern {winner!r} of the preview rule"
        return Match(branch, (), winner, reason, makes_preview=True)
    reason = f"the branch {branch!r} matches the pattern {winner!r} of {', '.join(slugs)}"
    return Match(branch, slugs, winner, reason)


def matches(pattern: str, branch: str) -> bool:
    """``*`` is any run of characters, ``/`` included, and ``?`` any one; all else is itself."""
    return fnmatch.fnmatchcase(branch, _plain(pattern).replace("[", "[[]"))


def _plain(pattern: str) -> str:
    """``**`` means what ``*`` does."""
    return re.sub(r"\*+", "*", pattern)


def _specificity(pattern: str) -> tuple[bool, int, int, int, int, str]:
    """Orders patterns, the most specific last; a total order, so that no dispute is left to chance."""
    stars, any_one = pattern.count("*"), pattern.count("?")
    literal = len(pattern) - stars - any_one
    prefix = len(re.split(r"[*?]", pattern, maxsplit=1)[0])
    return (not stars and not any_one, literal, any_one, -stars, prefix, pattern)


def _why_none(branch: str, patterns: Mapping[str, str], preview: str | None) -> str:
    if not patterns and preview is None:
        return f"the project has no environment that could deploy the branch {branch!r}"
    shown = sorted(patterns.items())
    known = ", ".join(f"{slug} deploys {pattern!r}" for slug, pattern in shown[:10])
    more = f", and {len(shown) - 10} more" if len(shown) > 10 else ""
    more += f"; previews are made of {preview!r}" if preview is not None else ""
    return f"no environment deploys the branch {branch!r} ({known}{more})"
