"""Who sends a request: the one place where GraphQL, REST, git and sockets find that out.

A request carries an API token (``Authorization: Bearer``; for git also as the password of ``Basic``), or a
browser's session cookie. A token wins over a cookie: it says by itself that the sender meant it. What a
cookie needs besides is in ``app/sessions/cookies.py``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from app.access.actor import Actor
from app.access.secrets import MAX_LENGTH
from app.db import Database, WriteSession
from app.errors import Unauthenticated
from app.sessions import cookies
from app.sessions import service as sessions
from app.settings import Settings
from app.tokens import service as tokens

_HINT = "Send the header 'Authorization: Bearer paas_…' with a token, or sign in."


@dataclass(frozen=True)
class Credential:
    """What a request shows, before it is known whether it is any good."""

    kind: Literal["token", "session"]
    secret: str


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """By lower-case name; of one that was sent twice, the last."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


def address_of(scope: Mapping[str, Any]) -> str:
    """Of the client, as far as the trusted proxies (``PAAS_TRUSTED_PROXIES``) told it."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def credential_of(
    headers: Mapping[str, str], settings: Settings, *, basic: bool = False
) -> Credential | None:
    """None when there is none at all. Raises Unauthenticated for one that cannot be read.

    ``basic``: git's way, a token as the password of any user name.
    """
    header = headers.get("authorization", "")
    if header:
        return Credential("token", _token_of(header, basic=basic))
    if basic:
        return None
    secret = cookies.read(settings, headers.get("cookie", ""))
    return None if secret is None else Credential("session", secret)


def _token_of(header: str, *, basic: bool) -> str:
    scheme, _, credentials = header.partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer" and 0 < len(credentials) <= MAX_LENGTH:
        return credentials
    if scheme.lower() != "basic" or not basic:
        raise Unauthenticated("This credential is not understood.", hint=_HINT)
    try:
        decoded = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthenticated("The credentials are malformed.", hint=_HINT) from error
    user, _, password = decoded.partition(":")
    return password or user


async def authenticate(
    scope: Mapping[str, Any],
    database: Database,
    settings: Settings,
    *,
    basic: bool = False,
    request_id: str | None = None,
) -> Actor | None:
    """The actor of an HTTP request or of a WebSocket that is being opened; None without a credential.

    Raises Unauthenticated for a credential that is no good, and Forbidden for a cookie that another page
    than ours, or nobody who knows the session's CSRF token, made a browser send.
    """
    headers = headers_of(scope)
    credential = credential_of(headers, settings, basic=basic)
    if credential is None:
        return None
    if credential.kind == "session":
        _refuse_unmeant(scope, headers, settings, credential.secret)
    return await authenticate_credential(
        credential, database, settings, address=address_of(scope), request_id=request_id
    )


async def authenticate_credential(
    credential: Credential,
    database: Database,
    settings: Settings,
    *,
    address: str,
    request_id: str | None = None,
) -> Actor:
    """One SELECT; at most once a minute also an UPDATE of its last use. Raises Unauthenticated."""
    if credential.kind == "session":
        found = sessions.identify_at_once(database, settings, credential.secret)
    else:
        found = tokens.identify_at_once(database, credential.secret)
    actor, unrecorded = await found
    if unrecorded:
        async with database.write_transaction() as writing:
            await record_use(writing, actor, address)
    return replace(actor, address=address or None, request_id=request_id)


async def identify(
    session: AsyncSession, settings: Settings, credential: Credential
) -> tuple[Actor, bool]:
    """Who that is, and whether its use is to be recorded. Raises Unauthenticated."""
    if credential.kind == "session":
        return await sessions.identify(session, settings, credential.secret)
    return await tokens.identify(session, credential.secret)


async def record_use(session: WriteSession, actor: Actor, address: str) -> None:
    if actor.session_id is not None:
        await sessions.record_use(session, actor.session_id, address)
    else:
        await tokens.record_use(session, actor)


def _refuse_unmeant(
    scope: Mapping[str, Any], headers: Mapping[str, str], settings: Settings, secret: str
) -> None:
    """A script cannot give a WebSocket a header of its own, so that there the origin alone decides."""
    socket = scope["type"] == "websocket"
    changes = socket or cookies.changes_something(scope["method"])
    cookies.refuse_foreign(settings, headers, changes=changes)
    if changes and not socket:
        cookies.refuse_forged(secret, headers)


async def confirm(session: AsyncSession, settings: Settings, actor: Actor) -> None:
    """For what takes its time, say a subscription or a slow push.

    Raises Unauthenticated when the token or session was revoked or has expired since it was admitted.
    """
    if actor.session_id is not None:
        await sessions.confirm(session, settings, actor.session_id)
    else:
        await tokens.confirm(session, actor)
