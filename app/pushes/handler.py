"""The conversation with a pushing client: what is done is in ``service.py``, what is shown in ``progress.py``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from app.access.actor import Actor
from app.access.find import Place
from app.audit import log
from app.audit.actions import Action
from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.environments.previews import PreviewMaker
from app.errors import Forbidden, NotFound, Unauthenticated
from app.faults import checkpoint
from app.models import App, Push, PushStatus
from app.ports.repositories import (
    PushClient,
    ReceivedPush,
    RefResult,
    RefUpdate,
    Repositories,
)
from app.pushes import progress, service
from app.pushes.plan import Options, Patience, parse_options, triage
from app.pushes.progress import DATABASE_ERRORS
from app.pushes.recording import Recording
from app.pushes.rights import require_push
from app.reconcile.wake import WakeListener
from app.refs import ZERO, branch_of
from app.settings import Settings
from app.tokens import service as tokens

logger = logging.getLogger(__name__)

_NOTHING_CHANGED = (
    "the platform's database does not answer; nothing was changed, push again in a moment"
)
_WAIT_GOES_ON = (
    "the platform's database stopped answering; deployments that were queued go on,"
    " and the ref moves if they succeed"
)


@dataclass(frozen=True)
class Pushes:
    """What of the process is needed to take pushes."""

    database: Database
    repositories: Repositories
    settings: Settings
    secret_box: SecretBox
    wakes: WakeListener

    @property
    def previews(self) -> PreviewMaker:
        return PreviewMaker(self.secret_box, self.settings.wildcard_base)


class PushHandler:
    """A ReceiveHandler for one push of ``actor`` to the app at ``place``."""

    def __init__(self, pushes: Pushes, actor: Actor, place: Place) -> None:
        assert place.app is not None
        self._pushes = pushes
        self._actor = actor
        self._place = place
        self._app: App = place.app
        self._recording: Recording | None = None

    def arrived(self, updates: Sequence[RefUpdate]) -> None:
        """All of the push is here, and git checks it: what is recorded if it is good can be written already."""
        if triage(updates, Patience.FOLLOW, atomic=False).accepted == list(updates):
            self._recording = Recording(self._pushes.database, self._record_in, updates)

    async def aclose(self) -> None:
        """However the push ended."""
        if self._recording is not None:
            await self._recording.drop()

    async def __call__(self, push: ReceivedPush) -> Sequence[RefResult]:
        options = parse_options(push.options)
        triaged = triage(push.updates, options.patience, atomic=push.atomic)
        if not triaged.accepted:
            return triaged.refused
        try:
            pushes = await self._record(triaged.accepted)
        except (Unauthenticated, Forbidden, NotFound) as error:
            refused = [RefResult(update.ref, error.message) for update in triaged.accepted]
            return [*triaged.refused, *refused]
        except DATABASE_ERRORS:
            logger.exception("push to %s: not recorded", self._app.id, extra={"app": self._app.id})
            refused = [RefResult(update.ref, _NOTHING_CHANGED) for update in triaged.accepted]
            return [*triaged.refused, *refused]
        try:
            results = await self._carry_out(pushes, options, push)
        except DATABASE_ERRORS:
            logger.exception("push to %s: not settled", self._app.id, extra={"app": self._app.id})
            results = await self._without_database(triaged.accepted, options, push.client)
        return [*triaged.refused, *results]

    async def _record(self, updates: Sequence[RefUpdate]) -> Sequence[Push]:
        """Raises Unauthenticated, Forbidden or NotFound."""
        begun, pushes = self._recording, None
        if begun is not None and begun.updates == list(updates):
            pushes = await begun.commit()
        if pushes is None:
            await self.aclose()
            async with self._pushes.database.write_transaction() as session:
                pushes = await self._record_in(session, updates)
        checkpoint("push.recorded")
        return pushes

    async def _record_in(self, session: WriteSession, updates: Sequence[RefUpdate]) -> list[Push]:
        """Asks again whether the actor may: the client chose how long its objects took to arrive."""
        await tokens.confirm(session, self._actor)
        await require_push(session, self._actor, self._place.scope, updates)
        pushes = service.record(session, self._app, self._actor, updates)
        await log.record(session, self._actor, Action.CODE_PUSH, self._place, _told(updates))
        return pushes

    async def _carry_out(
        self, pushes: Sequence[Push], options: Options, push: ReceivedPush
    ) -> Sequence[RefResult]:
        if options.patience is Patience.WAIT:
            ids = [one.id for one in pushes]
            return [_result(one) for one in await self._wait(ids, options, push.client)]
        async with self._pushes.database.write_transaction() as session:
            settled = await service.settle(
                session,
                self._pushes.repositories,
                self._app.id,
                pushes,
                maker=self._pushes.previews,
                atomic=push.atomic,
            )
        checkpoint("push.settled")
        await self._tell(settled, options, push.client)
        return [_result(one) for one in settled]

    async def _wait(
        self, ids: Sequence[str], options: Options, client: PushClient
    ) -> Sequence[Push]:
        """The refs move at the end; also when the client has hung up meanwhile."""
        database, repositories = self._pushes.database, self._pushes.repositories
        await self._say_problems(options, client)
        for push_id in ids:
            async with database.write_transaction() as session:
                await service.begin_wait(
                    session, repositories, self._app.id, push_id, maker=self._pushes.previews
                )
            checkpoint("push.wait_begun")
        await self._follow(ids, client, unseen=True)
        ended: list[Push] = []
        for push_id in ids:
            async with database.write_transaction() as session:
                ended += await service.finish_wait(session, repositories, self._app.id, push_id)
            checkpoint("push.wait_finished")
        return ended

    async def _tell(self, settled: Sequence[Push], options: Options, client: PushClient) -> None:
        await self._say_problems(options, client)
        for push in settled:
            if push.status is PushStatus.SKIPPED:
                await client.say(f"[paas] skipped: {push.reason}")
        deployed = [push for push in settled if push.status is PushStatus.DEPLOYED]
        for push in deployed:
            if push.reason is not None:
                await client.say(f"-----> {push.reason[0].upper()}{push.reason[1:]}")
            await self._tell_if_rewritten(push, client)
        if not deployed:
            return
        ids = [push.id for push in deployed]
        if options.patience is Patience.NO_WAIT:
            await progress.list_queued(self._pushes.database, ids, client)
        else:
            await self._follow(ids, client, unseen=False)

    async def _follow(self, ids: Sequence[str], client: PushClient, *, unseen: bool) -> None:
        await progress.follow(
            self._pushes.database,
            self._pushes.wakes,
            ids,
            client,
            ingress_port=self._pushes.settings.ingress_port,
            unseen=unseen,
        )

    async def _say_problems(self, options: Options, client: PushClient) -> None:
        for problem in options.problems:
            await client.say(f" !     {problem}")

    async def _tell_if_rewritten(self, push: Push, client: PushClient) -> None:
        if push.before_sha == ZERO or client.gone.is_set():
            return
        lost = await self._pushes.repositories.log(
            self._app.repository_key, push.after_sha, push.before_sha, limit=1
        )
        if lost:
            await client.say(
                f" !     History was rewritten: {branch_of(push.ref)} no longer holds"
                f" {push.before_sha[:12]}. It is deployed as pushed."
            )

    async def _without_database(
        self, updates: Sequence[RefUpdate], options: Options, client: PushClient
    ) -> Sequence[RefResult]:
        """The pushes are recorded; whether their refs have moved, the repository knows."""
        results = []
        unmoved = _WAIT_GOES_ON if options.patience is Patience.WAIT else _NOTHING_CHANGED
        for update in updates:
            key = self._app.repository_key
            now = await self._pushes.repositories.read_ref(key, update.ref) or ZERO
            results.append(RefResult(update.ref, None if now == update.new else unmoved))
        if any(result.error is None for result in results):
            await client.say(
                " !     The push was taken, but the platform's database stopped answering."
                " What it deploys is queued once the database is back."
            )
        return results


def _told(updates: Sequence[RefUpdate]) -> str:
    """For the audit log."""
    moves = [
        f"deleted {update.ref}" if update.new == ZERO else f"{update.ref} at {update.new[:12]}"
        for update in updates
    ]
    return f"Pushed {', '.join(moves[:20])}{', …' if len(moves) > 20 else ''}."


def _result(push: Push) -> RefResult:
    if push.status is PushStatus.REJECTED:
        return RefResult(push.ref, push.reason or service.GIVEN_UP)
    if push.status is PushStatus.RECEIVED:
        return RefResult(push.ref, "the platform does not know the app any more")
    return RefResult(push.ref)
