"""``/auth/oidc/*``: to the OpenID provider and back.

What the browser has to come back with is sealed in a cookie of its own for ten minutes, so that an answer
is taken only by the browser that asked, and nothing is stored for those who never come back.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.crypto import Sealed
from app.errors import InvalidInput, PaasError, PreconditionFailed, Unauthenticated
from app.http.auth_answers import answer_of
from app.rest.endpoint import Answer
from app.sessions import cookies
from app.users import identities
from app.users.oidc import Attempt, Claims, Provider

if TYPE_CHECKING:
    from app.http.auth import AuthContainer, Door

_COOKIE = "oidc"
_SECONDS = 600
_CONTEXT = "oidc attempt"
_MAX_NEXT = 500
_MAX_INVITATION = 200


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """Sealed in the cookie."""

    attempt: Attempt
    until: float
    next: str
    """Where the browser goes when it is back: a path of ours."""
    invitation: str | None = None
    links_session: str | None = None
    """The account is to be linked to the user of this session."""


class LinkAnswer(Answer, frozen=True):
    url: str
    """Where the browser is to go."""


def local_path(given: str | None) -> str:
    """A path on this origin, whatever a browser makes of it. Raises InvalidInput for any other place."""
    wanted = given or "/"
    parts = urlsplit(wanted) if wanted.isprintable() else None
    leaves = parts is None or parts.scheme or parts.netloc or not wanted.startswith("/")
    if leaves or wanted.startswith("//") or "\\" in wanted or len(wanted) > _MAX_NEXT:
        raise InvalidInput("`next` must be a path of this platform, such as /.", field="next")
    return wanted


class SingleSignOn:
    def __init__(self, door: Door, container: AuthContainer) -> None:
        self._door = door
        self._settings = container.settings
        self._box = container.secret_box
        self._provider = Provider(container.settings)

    async def start(self, request: Request) -> Response:
        """To the provider. ``next``: where to go on; ``invitation``: the secret of a link to accept."""
        next_path = local_path(request.query_params.get("next"))
        invitation = request.query_params.get("invitation")
        if invitation is not None and len(invitation) > _MAX_INVITATION:
            raise InvalidInput("This is no invitation.", field="invitation")
        attempt = await self._provider.begin()
        response: Response = RedirectResponse(attempt.url, 303)
        return self._away(response, attempt, next=next_path, invitation=invitation)

    async def link(self, request: Request) -> Response:
        """For who is signed in, with the CSRF token: where to go to add the account there."""
        actor = await self._door.actor_of(request)
        if actor is None or actor.session_id is None:
            raise PreconditionFailed(
                "Accounts are linked by who is signed in.",
                hint="Sign in first: POST /auth/sign-in.",
            )
        attempt = await self._provider.begin()
        response = answer_of(LinkAnswer(url=attempt.url))
        return self._away(response, attempt, next="/", links_session=actor.session_id)

    def _away(
        self,
        response: Response,
        attempt: Attempt,
        *,
        next: str,
        invitation: str | None = None,
        links_session: str | None = None,
    ) -> Response:
        trip = Trip(
            attempt=attempt,
            until=time.time() + _SECONDS,
            next=next,
            invitation=invitation,
            links_session=links_session,
        )
        sealed = self._box.seal(msgspec.json.encode(trip), context=_CONTEXT)
        value = f"{sealed.key_id}.{urlsafe_b64encode(sealed.ciphertext).decode()}"
        response.headers["Set-Cookie"] = cookies.set_cookie(
            self._settings, value, seconds=_SECONDS, name=_COOKIE
        )
        return response

    async def callback(self, request: Request) -> Response:
        """Back from the provider: signed in, or linked, and on to where it was going."""
        trip = self._trip(request)
        claims = await self._provider.complete(dict(request.query_params), trip.attempt)
        response: Response = RedirectResponse(trip.next, 303)
        if trip.links_session is None:
            response.headers.append("Set-Cookie", await self._signed_in(request, trip, claims))
        else:
            await self._linked(request, trip.links_session, claims)
        response.headers.append("Set-Cookie", cookies.forget_cookie(self._settings, _COOKIE))
        return response

    async def _signed_in(self, request: Request, trip: Trip, claims: Claims) -> str:
        async with self._door.database.write_transaction() as session:
            user = await identities.sign_in(
                session, self._settings, claims, invitation=trip.invitation
            )
            cookie, _, _ = await self._door.new_session(session, request, user)
        return cookie

    async def _linked(self, request: Request, session_id: str, claims: Claims) -> None:
        actor = await self._door.actor_of(request)
        if actor is None or actor.session_id != session_id:
            raise Unauthenticated(
                "Another user is signed in than began to link the account.", hint="Begin again."
            )
        async with self._door.database.write_transaction() as session:
            await identities.link(session, actor, claims)

    def _trip(self, request: Request) -> Trip:
        """Raises Unauthenticated for a browser that was not sent away from here, or too long ago."""
        value = cookies.read(self._settings, request.headers.get("cookie", ""), _COOKIE)
        key_id, _, body = (value or "").partition(".")
        try:
            sealed = Sealed(urlsafe_b64decode(body), key_id)
            trip = msgspec.json.decode(self._box.open(sealed, context=_CONTEXT), type=Trip)
        except (ValueError, PaasError) as error:
            raise _nowhere() from error
        if trip.until < time.time():
            raise _nowhere()
        return trip


def _nowhere() -> Unauthenticated:
    return Unauthenticated(
        "This browser did not begin to sign in here, or more than ten minutes ago.",
        hint="Begin again at /auth/oidc/start.",
    )
