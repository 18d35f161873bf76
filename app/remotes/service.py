"""Linking an app with its code elsewhere, and taking what the host says of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.dialects.postgresql import insert

from app.access.actor import Actor
from app.access.find import place_of
from app.access.permissions import Permission, require, require_unlimited
from app.audit import log
from app.audit.actions import Action
from app.crypto import Sealed, SecretBox
from app.db import WriteSession
from app.errors import InvalidInput, NotFound
from app.ids import new_id
from app.models import App, Remote, RemoteHost, RemotePush, RemotePushStatus
from app.outbound.guard import Guard, valid_url
from app.remotes import plan, queries
from app.remotes.plan import Ignored, Told

MAX_TOKEN = 1000


async def link(
    session: WriteSession,
    actor: Actor,
    app: App,
    box: SecretBox,
    guard: Guard,
    *,
    host: RemoteHost,
    url: str,
    token: str | None = None,
    report_statuses: bool = False,
    new_secret: bool = False,
) -> tuple[Remote, str | None]:
    """From now on, what is pushed there is deployed as if the actor had pushed it here.

    Returns the hook's secret when it is a new one: of the first link, or when asked for. A token that is
    not given stays as it was.
    """
    place = await place_of(session, app)
    await require(session, actor, place.scope, Permission.APP_WRITE)
    await require(session, actor, place.scope, Permission.CODE_PUSH)
    require_unlimited(actor, "link a remote, which pushes with all that its user may")
    place.require_live()
    valid_url(url, guard)
    if report_statuses and host is RemoteHost.GITLAB:
        raise InvalidInput(
            "Statuses are reported to GitHub and Gitea only.", field="reportStatuses"
        )
    remote = await queries.lock(session, app.id)
    secret = None
    if remote is None or new_secret:
        secret = secrets.token_urlsafe(32)
        sealed = box.seal(secret.encode(), context=_context("hook", app.id))
    if remote is None:
        remote = Remote(app_id=app.id)
        session.add(remote)
    if secret is not None:
        remote.hook_secret, remote.hook_key_id = sealed.ciphertext, sealed.key_id
    remote.host, remote.url, remote.user_id = host, url, actor.user_id
    remote.report_statuses = report_statuses
    if token is not None:
        _set_token(remote, box, token)
    await session.flush()
    await session.refresh(remote)
    said = f"Linked the app with {url}, whose pushes are deployed as the linker's own."
    await log.record(session, actor, Action.REMOTE_SET, place, said)
    return remote, secret


def _set_token(remote: Remote, box: SecretBox, token: str) -> None:
    """An empty one takes it away."""
    if len(token) > MAX_TOKEN or any(not "!" <= character <= "~" for character in token):
        raise InvalidInput("That is no access token.", field="token")
    sealed = box.seal(token.encode(), context=_context("token", remote.app_id)) if token else None
    remote.token = None if sealed is None else sealed.ciphertext
    remote.token_key_id = None if sealed is None else sealed.key_id


async def unlink(session: WriteSession, actor: Actor, app: App) -> None:
    """What was mirrored stays. Twice is fine."""
    place = await place_of(session, app)
    await require(session, actor, place.scope, Permission.APP_WRITE)
    remote = await queries.lock(session, app.id)
    await log.record(session, actor, Action.REMOTE_UNSET, place, "Unlinked the app's remote.")
    if remote is not None:
        await session.delete(remote)
        await session.flush()


async def take(
    session: WriteSession,
    box: SecretBox,
    app_id: str,
    host: RemoteHost,
    headers: Mapping[str, str],
    body: bytes,
) -> RemotePush | Ignored:
    """Record what the host says; a message that came before is the row that there is.

    One that failed for good and comes again is tried again. Raises NotFound alike for an app that is not
    there, one that is not linked so, and a signature that is wrong: who asks is nobody we know.
    """
    found = await queries.live(session, app_id)
    remote = found[0] if found is not None and found[0].host is host else None
    secret = secrets.token_urlsafe(32) if remote is None else hook_secret(box, remote)
    if not plan.is_signed(host, secret, headers, body) or remote is None:
        raise NotFound(
            "There is no such hook, or the message is not signed with its secret.",
            hint="Compare the URL and the secret with what the platform showed.",
        )
    told = plan.read(host, headers, body)
    if isinstance(told, Ignored):
        return told
    return await _record(session, app_id, told)


async def _record(session: WriteSession, app_id: str, told: Told) -> RemotePush:
    now = datetime.now(UTC)
    values = {
        "id": new_id("rph"),
        "app_id": app_id,
        "delivery_id": told.delivery_id,
        "ref": told.ref,
        "status": RemotePushStatus.PENDING,
        "attempts": 0,
        "next_attempt_at": now,
    }
    await session.execute(insert(RemotePush).values(values).on_conflict_do_nothing())
    row = await queries.of_delivery(session, app_id, told.delivery_id)
    assert row is not None
    if row.status is RemotePushStatus.FAILED:
        row.status, row.attempts, row.next_attempt_at = RemotePushStatus.PENDING, 0, now
        row.push_id, row.finished_at = None, None
        await session.flush()
    if row.status is RemotePushStatus.PENDING:
        await session.wake("remote", app_id)
    return row


def hook_secret(box: SecretBox, remote: Remote) -> str:
    sealed = Sealed(remote.hook_secret, remote.hook_key_id)
    return box.open(sealed, context=_context("hook", remote.app_id)).decode()


def open_token(box: SecretBox, remote: Remote) -> str:
    """Empty without one."""
    if remote.token is None:
        return ""
    sealed = Sealed(remote.token, remote.token_key_id or "")
    return box.open(sealed, context=_context("token", remote.app_id)).decode()


def _context(what: str, app_id: str) -> str:
    return f"remote-{what}:{app_id}"
