"""``/auth/cli``: how `paas login` gets its token from a browser that is signed in (RFC 8252, RFC 7636).

    paas      listens on 127.0.0.1, opens ``GET /auth/cli?port=…&state=…&challenge=…&name=…``
    browser   the page has the person sign in and allow it: ``POST /auth/cli`` answers with where to go,
              which is that port, with a code
    paas      ``POST /auth/cli/token`` with the code, and the verifier that only it knows: a token

The code is sealed and good for a minute; nothing is stored for it. Who sees it on its way can do nothing
without the verifier, whose hash is inside.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.access.actor import Actor
from app.crypto import Sealed, SecretBox
from app.errors import PaasError, Unauthenticated
from app.http import pages
from app.http.auth_answers import answer_of
from app.models import User
from app.rest.endpoint import Answer, Given
from app.tokens import service as tokens

if TYPE_CHECKING:
    from app.http.auth import Door

CODE_SECONDS = 60
TOKEN_DAYS = 180
_CONTEXT = "command line sign-in"

Base64 = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{32,128}$")]


class Allowed(Given, frozen=True):
    """What the page was opened with."""

    port: Annotated[int, msgspec.Meta(ge=1024, le=65535)]
    state: Base64
    challenge: Base64
    """The verifier's SHA-256, in base64url without padding."""
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    """Of the machine, for the list of tokens."""


class AllowedAnswer(Answer, frozen=True):
    url: str
    """Where the browser is to go."""


class Redeemed(Given, frozen=True):
    code: Annotated[str, msgspec.Meta(max_length=2000)]
    verifier: Base64


class RedeemedAnswer(Answer, frozen=True):
    token: str
    user: str


class _Code(msgspec.Struct, frozen=True):
    user_id: str
    challenge: str
    name: str
    until: float


class CommandLine:
    """The handlers."""

    def __init__(self, door: Door, box: SecretBox) -> None:
        self._door = door
        self._box = box

    async def page(self, request: Request) -> Response:
        return pages.page("auth_cli.html")

    async def allow(self, request: Request, given: Allowed) -> Response:
        """By a session alone, with its CSRF token: a token cannot make itself a successor."""
        actor = await self._door.actor_of(request)
        if actor is None or actor.session_id is None or actor.user_id is None:
            raise Unauthenticated("A command line is allowed by who is signed in.")
        code = _Code(actor.user_id, given.challenge, given.name, time.time() + CODE_SECONDS)
        sealed = self._box.seal(msgspec.json.encode(code), context=_CONTEXT)
        told = f"{sealed.key_id}.{urlsafe_b64encode(sealed.ciphertext).decode()}"
        query = urlencode({"code": told, "state": given.state})
        return answer_of(AllowedAnswer(url=f"http://127.0.0.1:{given.port}/?{query}"))

    async def redeem(self, given: Redeemed) -> Response:
        code = self._opened(given)
        async with self._door.database.write_transaction() as session:
            user = await session.get(User, code.user_id)
            if user is None:
                raise _no_good()
            until = datetime.now(UTC) + timedelta(days=TOKEN_DAYS)
            actor = Actor(user.id, user.name)
            name = f"paas on {code.name}"
            _, secret = await tokens.create(session, user, name, until, actor=actor)
        return answer_of(RedeemedAnswer(token=secret, user=user.name))

    def _opened(self, given: Redeemed) -> _Code:
        """Raises Unauthenticated, alike for all that is wrong with it."""
        key_id, _, body = given.code.partition(".")
        try:
            opened = self._box.open(Sealed(urlsafe_b64decode(body), key_id), context=_CONTEXT)
            code = msgspec.json.decode(opened, type=_Code)
        except (ValueError, PaasError) as error:
            raise _no_good() from error
        hashed = hashlib.sha256(given.verifier.encode()).digest()
        challenge = urlsafe_b64encode(hashed).rstrip(b"=").decode()
        if code.until < time.time() or not hmac.compare_digest(challenge, code.challenge):
            raise _no_good()
        return code


def _no_good() -> Unauthenticated:
    return Unauthenticated(
        "This code is not valid, or not any more.", hint="Begin again: paas login"
    )
