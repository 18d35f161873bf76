"""What a host's message says, and whether it is the host's: pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from app.errors import InvalidInput
from app.models import RemoteHost
from app.refs import branch_of, ref_problem

MAX_BODY_BYTES = 10 * 1024 * 1024
PAUSES = (5, 30, 120, 600, 1800)
"""Seconds after the first fetch that failed, the second …: 43 minutes in all."""

_EVENT = {
    RemoteHost.GITHUB: "x-github-event",
    RemoteHost.GITLAB: "x-gitlab-event",
    RemoteHost.GITEA: "x-gitea-event",
}
_PUSHES = {"push", "Push Hook"}
_DELIVERY = {
    RemoteHost.GITHUB: ("x-github-delivery",),
    RemoteHost.GITLAB: ("idempotency-key", "x-gitlab-event-uuid"),
    RemoteHost.GITEA: ("x-gitea-delivery",),
}


@dataclass(frozen=True)
class Told:
    """A branch moved, was made or was deleted there. Nothing else of the message is believed."""

    delivery_id: str
    ref: str


@dataclass(frozen=True)
class Ignored:
    reason: str


class _Payload(msgspec.Struct):
    ref: str = ""


def is_signed(host: RemoteHost, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """GitHub and Gitea sign the body (HMAC-SHA256, hex); GitLab sends the secret. In constant time.

    ``headers``: by their names in lower case.
    """
    if host is RemoteHost.GITLAB:
        return _same(headers.get("x-gitlab-token", ""), secret)
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if host is RemoteHost.GITHUB:
        return _same(headers.get("x-hub-signature-256", ""), f"sha256={wanted}")
    return _same(headers.get("x-gitea-signature", ""), wanted)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def read(host: RemoteHost, headers: Mapping[str, str], body: bytes) -> Told | Ignored:
    """Of a message that ``is_signed``. Raises InvalidInput when it is not in the host's format."""
    event = headers.get(_EVENT[host], "")
    if event not in _PUSHES:
        return Ignored(f"Only pushes are acted on, and this is {event[:40] or 'of no kind'!r}.")
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InvalidInput(
            "The message is not JSON.", hint="Choose application/json as the hook's content type."
        )
    try:
        ref = msgspec.json.decode(body, type=_Payload).ref
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The message is not a push of {host.value}'s: {error}.") from error
    if ref_problem(ref) is not None or branch_of(ref) is None:
        return Ignored("Only branches are mirrored.")
    return Told(_delivery_id(host, headers, body), ref)


def _delivery_id(host: RemoteHost, headers: Mapping[str, str], body: bytes) -> str:
    for name in _DELIVERY[host]:
        given = headers.get(name, "")
        if given and len(given) <= 100 and given.isascii() and given.isprintable():
            return f"{host.value}:{given}"
    return f"{host.value}:{hashlib.sha256(body).hexdigest()}"


def pause_after(attempts: int) -> int | None:
    """Seconds until the next fetch; None: that was the last."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


CREDENTIAL_USER = {
    RemoteHost.GITHUB: "x-access-token",
    RemoteHost.GITLAB: "oauth2",
    RemoteHost.GITEA: "paas",
}
"""The user name that goes with a token, as each host's documentation has it; Gitea takes any."""
