"""What a host told of becomes a push like any other: fetched, recorded, settled.

    fetch     the branch's newest commit, into a ref that nobody sees
    record    one transaction: the Push row, as whoever linked the remote, and which message it is of
    settle    the ref moves and deployments are queued, as after ``git push``; the message is done

A worker that dies goes on from the row: before ``record`` it fetches again; after it, it settles. If the
push was given up meanwhile (``app.pushes.reconcile``), it begins anew.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from app.access.actor import Actor
from app.access.find import place_of
from app.audit import log
from app.audit.actions import Action
from app.crypto import SecretBox
from app.db import Database
from app.environments.previews import PreviewMaker
from app.errors import ExternalFailure, PaasError
from app.faults import checkpoint
from app.models import App, Push, PushStatus, Remote, RemotePush, RemotePushStatus, User
from app.outbound.guard import AddressRefused, Guard
from app.ports.mirrors import Mirrors, RemoteRefused, Source
from app.ports.repositories import RefUpdate, Repositories
from app.pushes import service as pushes
from app.pushes.rights import require_push
from app.reconcile.lease import HeldLease
from app.refs import ZERO, branch_of
from app.remotes import plan, queries
from app.remotes.service import open_token

logger = logging.getLogger(__name__)

STEPS = ("remote.fetched", "remote.recorded", "remote.settled")
UP_TO_DATE = "The branch was here already."


class RemoteReconciler:
    """Kind ``"remote"``, key: the app's id. Messages of one app take turns."""

    kind = "remote"
    period = 5.0
    concurrency = 2

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        repositories: Repositories,
        mirrors: Mirrors,
        guard: Guard,
        maker: PreviewMaker,
    ) -> None:
        self._database = database
        self._box = box
        self._repositories = repositories
        self._mirrors = mirrors
        self._guard = guard
        self._maker = maker

    async def pending(self) -> Sequence[str]:
        async with self._database.read_session() as session:
            return await queries.apps_with_work(session)

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        async with self._database.read_session() as session:
            found = await queries.live(session, key)
            due = await queries.due(session, key)
        for row in due:
            if found is None:
                await self._end(row.id, lease, False, "The app is deleted, or not linked any more.")
                continue
            await self._bring_in(row, *found, lease)

    async def _bring_in(self, row: RemotePush, remote: Remote, app: App, lease: HeldLease) -> None:
        try:
            push_id = row.push_id or await self._fetch_and_record(row, remote, app, lease)
        except (RemoteRefused, AddressRefused) as error:
            await self._end(row.id, lease, False, str(error))
        except (ExternalFailure, OSError) as error:
            await self._postpone(row.id, lease, str(error))
        except PaasError as error:
            await self._end(row.id, lease, False, error.message)
        else:
            if push_id is not None:
                await self._settle(row.id, app, push_id, lease)

    async def _fetch_and_record(
        self, row: RemotePush, remote: Remote, app: App, lease: HeldLease
    ) -> str | None:
        """The push's id; None when there was nothing new, and the message is done."""
        lease.check()
        new = await self._fetch(row, remote, app) or ZERO
        checkpoint("remote.fetched")
        old = await self._repositories.read_ref(app.repository_key, row.ref) or ZERO
        if old == new:
            await self._end(row.id, lease, True, UP_TO_DATE)
            return None
        push = await self._record(row, remote, app, RefUpdate(row.ref, old, new), lease)
        checkpoint("remote.recorded")
        return push.id

    async def _fetch(self, row: RemotePush, remote: Remote, app: App) -> str | None:
        parts = urlsplit(remote.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = await self._guard.resolve(parts.hostname or "", port)
        if parts.scheme != "https" and not all(map(self._guard.is_allowed, addresses)):
            raise AddressRefused("http:// is only for networks that the operator allows")
        token = open_token(self._box, remote)
        source = Source(remote.url, addresses, plan.CREDENTIAL_USER[remote.host], token)
        return await self._mirrors.fetch(app.repository_key, source, branch_of(row.ref) or "")

    async def _record(
        self, row: RemotePush, remote: Remote, app: App, update: RefUpdate, lease: HeldLease
    ) -> Push:
        """As whoever linked the remote, if that one may still push there. Raises Forbidden or NotFound."""
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            place = await place_of(session, app)
            actor = Actor(user_id=None, name="operator", is_admin=True)
            if remote.user_id is not None:
                user = await session.get(User, remote.user_id)
                assert user is not None
                actor = Actor(user_id=user.id, name=user.name, is_admin=user.is_admin)
            await require_push(session, actor, place.scope, [update])
            (push,) = pushes.record(session, app, actor, [update])
            await session.flush()
            mine = await session.get(RemotePush, row.id, with_for_update=True)
            assert mine is not None
            mine.push_id = push.id
            said = f"Mirrored {update.ref} at {update.new[:12]} from {remote.url}."
            await log.record(session, actor, Action.CODE_PUSH, place, said)
            return push

    async def _settle(self, row_id: str, app: App, push_id: str, lease: HeldLease) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            push = await session.get(Push, push_id)
            recorded = [] if push is None else [push]
            settled = await pushes.settle(
                session, self._repositories, app.id, recorded, maker=self._maker, atomic=False
            )
            row = await session.get(RemotePush, row_id, with_for_update=True)
            if row is None:
                return
            lost = not settled or settled[0].reason in (pushes.GIVEN_UP, pushes.FETCH_FIRST)
            if lost:
                row.push_id = None
                _plan_next(row, "Another push moved the branch meanwhile.")
            else:
                (ended,) = settled
                accepted = ended.status is not PushStatus.REJECTED
                _finish(row, accepted, ended.reason or f"It is {ended.status.value}.")
        checkpoint("remote.settled")

    async def _end(self, row_id: str, lease: HeldLease, done: bool, message: str) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            row = await session.get(RemotePush, row_id, with_for_update=True)
            if row is not None:
                _finish(row, done, message)

    async def _postpone(self, row_id: str, lease: HeldLease, message: str) -> None:
        async with self._database.write_transaction() as session:
            await lease.guard(session)
            row = await session.get(RemotePush, row_id, with_for_update=True)
            if row is not None:
                _plan_next(row, message)
                logger.info("remote of %s: %s", row.app_id, message, extra={"app": row.app_id})


def _plan_next(row: RemotePush, message: str) -> None:
    """Or give up."""
    row.attempts += 1
    pause = plan.pause_after(row.attempts)
    if pause is None:
        _finish(row, False, message)
    else:
        row.message = message
        row.next_attempt_at = datetime.now(UTC) + timedelta(seconds=pause)


def _finish(row: RemotePush, done: bool, message: str) -> None:
    row.status = RemotePushStatus.DONE if done else RemotePushStatus.FAILED
    row.message, row.next_attempt_at, row.finished_at = message, None, datetime.now(UTC)
