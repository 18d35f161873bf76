"""What a push asks for, before anything is done about it: pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.ports.repositories import RefResult, RefUpdate
from app.refs import BRANCHES, HIDDEN, TAGS, branch_of, ref_problem, tree_of

ATOMIC_FAILED = "the atomic push was refused because of another ref"


class Patience(enum.Enum):
    """How long the client waits."""

    FOLLOW = "follow"
    """The default: the ref moves at once, progress is shown until every deployment has ended."""
    WAIT = "wait"
    """``-o wait``: the ref moves only when every deployment has succeeded."""
    NO_WAIT = "no-wait"
    """``-o no-wait``: answered as soon as the deployments are queued."""


@dataclass(frozen=True)
class Options:
    patience: Patience
    problems: Sequence[str]
    """What was asked for and is not understood: said, then ignored."""


def parse_options(options: Mapping[str, str]) -> Options:
    known = {"wait": Patience.WAIT, "no-wait": Patience.NO_WAIT}
    chosen = [known[key] for key, value in options.items() if key in known and not value]
    problems = [
        f"The push option {_shown(key, value)} is not known and was ignored; known are wait and no-wait."
        for key, value in options.items()
        if key not in known or value
    ]
    if len(chosen) > 1:
        problems.append("Both -o wait and -o no-wait were given; wait it is.")
        return Options(Patience.WAIT, problems)
    return Options(chosen[0] if chosen else Patience.FOLLOW, problems)


def _shown(key: str, value: str) -> str:
    text = f"{key}={value}" if value else key
    return repr(text if len(text) <= 60 else text[:57] + "...")


@dataclass(frozen=True)
class Triage:
    accepted: Sequence[RefUpdate]
    refused: Sequence[RefResult]


def triage(updates: Sequence[RefUpdate], patience: Patience, *, atomic: bool) -> Triage:
    """Which updates may be tried at all."""
    alone = not (atomic and patience is Patience.WAIT and len(updates) > 1)
    verdicts = {u.ref: update_problem(u, patience) for u in updates}
    if not alone:
        verdicts = {
            ref: verdict or "with -o wait, an atomic push has one branch"
            for ref, verdict in verdicts.items()
        }
    if atomic and any(verdicts.values()):
        verdicts = {ref: verdict or ATOMIC_FAILED for ref, verdict in verdicts.items()}
    return Triage(
        accepted=[u for u in updates if verdicts[u.ref] is None],
        refused=[RefResult(ref, verdict) for ref, verdict in verdicts.items() if verdict],
    )


def update_problem(update: RefUpdate, patience: Patience) -> str | None:
    problem = ref_problem(update.ref)
    if problem:
        return problem
    if update.ref.startswith(HIDDEN) and tree_of(update.ref) is None:
        return "refs/paas/ is the platform's own"
    if not update.ref.startswith((BRANCHES, TAGS, HIDDEN)):
        return "only branches (refs/heads/) and tags (refs/tags/) are kept here"
    if patience is Patience.WAIT and (update.deletes or branch_of(update.ref) is None):
        return "with -o wait, only a branch that is to be deployed can be pushed"
    return None


def undeployable_reason(ref: str, *, deletes: bool) -> str | None:
    """Why this kind of update never deploys; None for a branch that was moved or made."""
    branch, tree = branch_of(ref), tree_of(ref)
    if tree is not None:
        return f"files for {tree} were {'removed' if deletes else 'stored'}; `paas deploy` deploys them"
    if branch is None:
        tag = ref.removeprefix(TAGS)
        return f"the tag {tag!r} was {'deleted' if deletes else 'stored'}; tags are not deployed"
    if deletes:
        return f"the branch {branch!r} was deleted; what it deployed keeps running"
    return None
