"""What happens to a push once its objects are stored. Rows and refs; no conversation (``handler.py``).

    record          tx 1   one row RECEIVED per ref: from here on nothing is forgotten
    settle          tx 2   lock the app → move the refs → DEPLOYED or SKIPPED, deployments queued → commit
    begin_wait      tx 2   with ``-o wait``: deployments queued, the ref not moved, the row still RECEIVED
    finish_wait     tx 3   all deployments ended: move the ref, or REJECTED
    recover                any RECEIVED push whose server died, from what the repository says

The ref moves inside tx 2, whose lock makes pushes to an app take turns. Whoever gets the turn first
finishes an earlier push that had moved the same ref and died before its commit; so a ref that is not
where a RECEIVED push wanted it was never moved by that push, and recovery can tell the two apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from app.access.actor import Actor
from app.db import WriteSession
from app.deployments import service as deployments
from app.environments import previews
from app.environments.previews import PreviewMaker
from app.errors import PaasError
from app.faults import checkpoint
from app.ids import new_id
from app.models import (
    TERMINAL_STATUSES,
    App,
    Deployment,
    DeploymentStatus,
    DeploymentTrigger,
    Environment,
    Push,
    PushStatus,
)
from app.ports.repositories import RefRefused, RefUpdate, Repositories
from app.pushes import queries, rights
from app.pushes.match import Match
from app.pushes.plan import ATOMIC_FAILED, undeployable_reason
from app.pushes.queries import Targets
from app.refs import HIDDEN, ZERO, branch_of

STEPS = (
    "push.recorded",
    "push.ref_moved",
    "push.settled",
    "push.wait_kept",
    "push.wait_begun",
    "push.wait_ref_moved",
    "push.wait_finished",
)
"""Every checkpoint of a push, for the test that kills the server at each."""

FETCH_FIRST = "fetch first: this ref was pushed by somebody else meanwhile"
GIVEN_UP = "the platform stopped before it could move the ref; push again"


def record(
    session: WriteSession, app: App, actor: Actor, updates: Sequence[RefUpdate]
) -> list[Push]:
    pushes = [
        Push(
            id=new_id("psh"),
            app_id=app.id,
            user_id=actor.user_id,
            token_id=None if actor.grant is None else actor.token_id,
            ref=update.ref,
            before_sha=update.old,
            after_sha=update.new,
            status=PushStatus.RECEIVED,
        )
        for update in updates
    ]
    session.add_all(pushes)
    return pushes


async def settle(
    session: WriteSession,
    repositories: Repositories,
    app_id: str,
    recorded: Sequence[Push],
    *,
    maker: PreviewMaker,
    atomic: bool,
) -> Sequence[Push]:
    """Move the refs and queue the deployments. What became of each push, as of ``recorded``."""
    push_ids = [push.id for push in recorded]
    app = await _lock(session, app_id, push_ids)
    if app is None:
        return await queries.of_ids(session, push_ids)
    unsettled = await queries.unsettled_of_refs(session, app.id, [push.ref for push in recorded])
    received = [push for push in unsettled if push.id in push_ids]
    overtaken = [push for push in unsettled if push.id not in push_ids]
    if not received:
        return await queries.of_ids(session, push_ids)
    await _finish_overtaken(session, repositories, maker, app, overtaken)
    looking = asyncio.create_task(queries.targets(session, app.id))
    try:
        updates = [_update(push) for push in received]
        refusals = await _move(repositories, app, updates, atomic=atomic)
    finally:
        targets = await looking
    checkpoint("push.ref_moved")
    for push in received:
        if refusals[push.ref] is None:
            await _conclude(session, repositories, maker, app, push, targets)
        else:
            _end(push, PushStatus.REJECTED, refusals[push.ref])
    await session.flush()
    return received if len(received) == len(recorded) else await queries.of_ids(session, push_ids)


async def begin_wait(
    session: WriteSession,
    repositories: Repositories,
    app_id: str,
    push_id: str,
    *,
    maker: PreviewMaker,
) -> None:
    """Queue the deployments of a push whose ref is to move only if they succeed."""
    app = await _lock(session, app_id, [push_id])
    if app is None:
        return
    push = await session.get(Push, push_id, populate_existing=True)
    if push is None or push.status is not PushStatus.RECEIVED:
        return
    unsettled = await queries.unsettled_of_refs(session, app.id, [push.ref])
    overtaken = [other for other in unsettled if other.id != push.id]
    await _finish_overtaken(session, repositories, maker, app, overtaken)
    targets = await queries.targets(session, app.id)
    found = targets.match(branch_of(push.ref) or "")
    if (await repositories.read_ref(app.repository_key, push.ref) or ZERO) != push.before_sha:
        _end(push, PushStatus.REJECTED, FETCH_FIRST)
    else:
        keep = RefUpdate(_hidden_ref(push), ZERO, push.after_sha)
        await repositories.update_refs(app.repository_key, [keep])
        checkpoint("push.wait_kept")
        skipped = await _deploy(session, repositories, maker, app, push, targets, found)
        if skipped is not None:
            _end(push, PushStatus.REJECTED, f"skipped: {skipped}")
            await _drop_hidden_ref(repositories, app, push)
    await session.flush()


async def finish_wait(
    session: WriteSession, repositories: Repositories, app_id: str, push_id: str
) -> Sequence[Push]:
    """Once every deployment of the push has ended; before that, and when it is finished, do nothing."""
    app = await _lock(session, app_id, [push_id])
    pushes = await queries.of_ids(session, [push_id])
    if app is None or not pushes or pushes[0].status is not PushStatus.RECEIVED:
        return pushes
    (push,) = pushes
    deployed = await queries.deployments_of(session, push.id)
    if not all(deployment.status in TERMINAL_STATUSES for deployment, _ in deployed):
        return pushes
    failure = _first_failure(deployed)
    if failure is None and not await _is_at(repositories, app, push):
        failure = (await _move(repositories, app, [_update(push)], atomic=True))[push.ref]
        checkpoint("push.wait_ref_moved")
    if failure is None:
        _end(push, PushStatus.DEPLOYED, push.reason)
    else:
        _end(push, PushStatus.REJECTED, failure)
        await previews.end_with_branch(
            session, repositories, app.project_id, branch_of(push.ref) or ""
        )
    if failure is None or not any(d.status is DeploymentStatus.SUCCEEDED for d, _ in deployed):
        await _drop_hidden_ref(repositories, app, push)
    await session.flush()
    return pushes


async def recover(
    session: WriteSession, repositories: Repositories, push_id: str, *, maker: PreviewMaker
) -> None:
    """Finish a push whose server died, exactly as it would have been, or reject it."""
    push = await session.get(Push, push_id)
    if push is None:
        return
    if await queries.deployments_of(session, push.id):
        await finish_wait(session, repositories, push.app_id, push.id)
        return
    app = await _lock(session, push.app_id, [push.id])
    await session.refresh(push)
    if app is None or push.status is not PushStatus.RECEIVED:
        return
    if await _is_at(repositories, app, push):
        targets = await queries.targets(session, app.id)
        await _conclude(session, repositories, maker, app, push, targets)
    else:
        _end(push, PushStatus.REJECTED, GIVEN_UP)
        await _drop_hidden_ref(repositories, app, push)
    await session.flush()


async def _lock(session: WriteSession, app_id: str, push_ids: Sequence[str]) -> App | None:
    """The app if it takes pushes; otherwise the pushes are rejected, and None."""
    found = await queries.lock_app(session, app_id)
    if found is None:
        return None
    app, project = found
    if project.deleted_at is None and app.deleted_at is None:
        return app
    what = f"project {project.slug}" if project.deleted_at else f"app {app.slug}"
    for push in await queries.of_ids(session, push_ids):
        if push.status is PushStatus.RECEIVED:
            _end(push, PushStatus.REJECTED, f"the {what} is deleted and takes no pushes")
    await session.flush()
    return None


async def _finish_overtaken(
    session: WriteSession,
    repositories: Repositories,
    maker: PreviewMaker,
    app: App,
    overtaken: Sequence[Push],
) -> None:
    """Earlier pushes that moved one of the refs and died before they could say so."""
    for push in overtaken:
        if await _is_at(repositories, app, push):
            targets = await queries.targets(session, app.id)
            await _conclude(session, repositories, maker, app, push, targets)


async def _is_at(repositories: Repositories, app: App, push: Push) -> bool:
    return (await repositories.read_ref(app.repository_key, push.ref) or ZERO) == push.after_sha


async def _move(
    repositories: Repositories, app: App, updates: Sequence[RefUpdate], *, atomic: bool
) -> dict[str, str | None]:
    """Why each ref was not moved; None where it was. All at once first, which is one git process."""
    problem = await _move_together(repositories, app, updates)
    if problem is None or len(updates) == 1:
        return {update.ref: problem for update in updates}
    if atomic:
        return {update.ref: f"{ATOMIC_FAILED} ({problem})" for update in updates}
    return {update.ref: await _move_together(repositories, app, [update]) for update in updates}


async def _move_together(
    repositories: Repositories, app: App, updates: Sequence[RefUpdate]
) -> str | None:
    try:
        moved = await repositories.update_refs(app.repository_key, updates)
    except RefRefused as error:
        return error.message
    return None if moved else FETCH_FIRST


async def _conclude(
    session: WriteSession,
    repositories: Repositories,
    maker: PreviewMaker,
    app: App,
    push: Push,
    targets: Targets,
) -> None:
    """The ref has moved: what follows from it."""
    deletes = push.after_sha == ZERO
    undeployable = undeployable_reason(push.ref, deletes=deletes)
    if undeployable is None:
        found = targets.match(branch_of(push.ref) or "")
        skipped = await _deploy(session, repositories, maker, app, push, targets, found)
        status = PushStatus.DEPLOYED if skipped is None else PushStatus.SKIPPED
        _end(push, status, skipped or push.reason)
        return
    branch = branch_of(push.ref)
    if deletes and branch is not None:
        ended = await previews.end_with_branch(session, repositories, app.project_id, branch)
        if ended is not None:
            undeployable = (
                f"the branch {branch!r} was deleted, and its environment {ended.slug} with it"
            )
    _end(push, PushStatus.SKIPPED, undeployable)


async def _deploy(
    session: WriteSession,
    repositories: Repositories,
    maker: PreviewMaker,
    app: App,
    push: Push,
    targets: Targets,
    found: Match,
) -> str | None:
    """Queue a deployment for each environment, making the branch's own if the preview rule says so.

    None; or the reason why nothing is deployed, and the push is skipped.
    """
    if found.makes_preview:
        try:
            made = await previews.make(session, maker, app.project_id, found.branch)
        except PaasError as error:
            return f"{found.reason}, but {error.message}"
        push.reason = f"the branch {found.branch!r} has the preview environment {made.slug}"
        targets = await queries.targets(session, app.id)
        found = targets.match(found.branch)
    if not found.environments:
        return found.reason
    matching = [t for t in targets.existing if t.environment.slug in found.environments]
    problem = await rights.lost(session, push, app, [each.environment for each in matching])
    if problem is not None:
        return f"{found.reason}, but {problem}"
    commit = await repositories.commit(app.repository_key, push.after_sha)
    for target in matching:
        previews.renew(target.environment, targets.rule)
        await deployments.create(
            session,
            instance=target.instance,
            trigger=DeploymentTrigger.GIT_PUSH,
            user_id=push.user_id,
            push=push,
            ref=push.ref,
            commit_sha=push.after_sha,
            commit_message=commit.message if commit is not None else None,
        )
    return None


def _first_failure(deployed: Sequence[tuple[Deployment, Environment]]) -> str | None:
    for deployment, environment in deployed:
        if deployment.status is not DeploymentStatus.SUCCEEDED:
            why = deployment.failure_message or deployment.status.value
            return f"the deployment to {environment.slug} did not succeed: {why}"
    return None


def _update(push: Push) -> RefUpdate:
    return RefUpdate(push.ref, push.before_sha, push.after_sha)


def _hidden_ref(push: Push) -> str:
    """Keeps the commit of a waiting push for its builds, whatever else happens to the repository."""
    return f"{HIDDEN}push/{push.id}"


async def _drop_hidden_ref(repositories: Repositories, app: App, push: Push) -> None:
    ref = _hidden_ref(push)
    if await repositories.read_ref(app.repository_key, ref) is not None:
        await repositories.update_refs(app.repository_key, [RefUpdate(ref, push.after_sha, ZERO)])


def _end(push: Push, status: PushStatus, reason: str | None) -> None:
    push.status = status
    push.reason = reason
    push.finished_at = datetime.now(UTC)
