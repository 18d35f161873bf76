"""``/auth/*``: how a browser signs in and out. JSON in and out; the answers to a person's form.

| path | does |
|---|---|
| GET (nothing) | a page for all of this |
| GET session | who is signed in, the session's CSRF token, and the ways to sign in |
| POST sign-in | name or e-mail and password → a session |
| POST sign-out | ends the session |
| POST invitation | what an invitation's link offers |
| POST sign-up | a new user by an invitation's link → a session |
| POST password | sets a password by an operator's link → a session |
| GET cli, POST cli, cli/token | a token for `paas login`, allowed in the browser |
| GET oidc/start, oidc/callback | to the OpenID provider and back; POST oidc/link adds it to who is signed in |

Changing a password, listing and revoking sessions, and accepting an invitation as who one is are in GraphQL.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.access.actor import Actor
from app.access.authenticate import address_of, authenticate, headers_of
from app.access.secrets import hash_of
from app.crypto import SecretBox
from app.db import Database, WriteSession
from app.errors import InvalidInput, PaasError, Unauthenticated
from app.http import pages
from app.http.auth_answers import (
    InvitationGiven,
    Methods,
    PasswordGiven,
    SessionAnswer,
    SignInGiven,
    SignUpGiven,
    answer_of,
    offered,
    session_answer,
)
from app.http.auth_cli import Allowed, CommandLine, Redeemed
from app.http.rate_limits import standing_of
from app.ids import new_id
from app.invitations import service as invitations
from app.models import User, UserSession
from app.rest.errors import BodyTooLarge, failed
from app.sessions import cookies
from app.sessions import service as sessions
from app.settings import Settings
from app.users import passwords
from app.users import service as users

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024
_NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

G = TypeVar("G", bound=msgspec.Struct)
Handler = Callable[[Request], Awaitable[Response]]


class AuthContainer(Protocol):
    """What of the process's wiring is used here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def secret_box(self) -> SecretBox: ...


def routes(container: AuthContainer) -> list[BaseRoute]:
    from app.http.auth_oidc import SingleSignOn

    door = Door(container)
    provider = SingleSignOn(door, container) if container.settings.oidc_issuer else None
    line = CommandLine(door, container.secret_box)

    async def allow(request: Request) -> Response:
        return await line.allow(request, await _given(request, Allowed))

    async def redeem(request: Request) -> Response:
        attempt(request)
        return await line.redeem(await _given(request, Redeemed))

    table: list[tuple[str, str, Handler]] = [
        ("GET", "", door.page),
        ("GET", "session", door.session),
        ("POST", "sign-in", door.sign_in),
        ("POST", "sign-out", door.sign_out),
        ("POST", "invitation", door.invitation),
        ("POST", "sign-up", door.sign_up),
        ("POST", "password", door.password),
        ("GET", "cli", line.page),
        ("POST", "cli", allow),
        ("POST", "cli/token", redeem),
    ]
    if provider is not None:
        table += [
            ("GET", "oidc/start", provider.start),
            ("GET", "oidc/callback", provider.callback),
            ("POST", "oidc/link", provider.link),
        ]
    return [
        Route(f"/auth/{path}", edge(handle), methods=[method]) for method, path, handle in table
    ]


def edge(handle: Handler) -> Handler:
    """``handle``, with failures told as REST does, and nothing kept by caches."""

    async def guarded(request: Request) -> Response:
        request_id = new_id("req")
        try:
            response = await handle(request)
        except Exception as error:  # noqa: BLE001 - the edge: told to the client, a bug is logged
            if isinstance(error, PaasError) and _wants_page(request):
                response = pages.problem(error)
            else:
                response = failed(error, request_id)
            if "www-authenticate" in response.headers:
                del response.headers["www-authenticate"]
        response.headers["X-Request-Id"] = request_id
        response.headers.update(_NO_STORE)
        return response

    return guarded


def _wants_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


class Door:
    """The handlers of everything but the provider's part."""

    def __init__(self, container: AuthContainer) -> None:
        self.settings = container.settings
        self.database = container.database

    async def page(self, request: Request) -> Response:
        """For people: to sign in, and to open the links of invitations and passwords."""
        return pages.page("auth_page.html")

    async def session(self, request: Request) -> Response:
        """Who is signed in. A cookie that is no good is taken away, and not a failure."""
        methods = Methods.of(self.settings)
        secret = self.secret_of(request)
        try:
            actor = await self.actor_of(request)
        except Unauthenticated:
            response = answer_of(SessionAnswer(methods=methods))
            response.headers["Set-Cookie"] = cookies.forget_cookie(self.settings)
            return response
        if actor is None or actor.session_id is None or secret is None:
            return answer_of(SessionAnswer(methods=methods))
        async with self.database.read_session() as session:
            user = await session.get_one(User, actor.user_id)
            row = await session.get_one(UserSession, actor.session_id)
        return answer_of(session_answer(user, row, secret, methods))

    async def sign_in(self, request: Request) -> Response:
        self.refuse_foreign(request)
        given = await _given(request, SignInGiven)
        attempt(request, given.login)
        verified = await users.verify(self.database, given.login, given.password)
        async with self.database.write_transaction() as session:
            user = await users.admit(session, verified)
            return await self.signed_in(session, request, user)

    async def sign_out(self, request: Request) -> Response:
        """Also for a session that has ended: the cookie goes either way."""
        try:
            actor = await self.actor_of(request)
        except Unauthenticated:
            actor = None
        if actor is not None and actor.session_id is not None:
            async with self.database.write_transaction() as session:
                await sessions.revoke(session, actor, actor.session_id)
        response = Response(status_code=204)
        response.headers["Set-Cookie"] = cookies.forget_cookie(self.settings)
        return response

    async def invitation(self, request: Request) -> Response:
        self.refuse_foreign(request)
        given = await _given(request, InvitationGiven)
        attempt(request)
        async with self.database.read_session() as session:
            offer = await invitations.offer_of(session, given.invitation)
        return answer_of(offered(offer))

    async def sign_up(self, request: Request) -> Response:
        self.refuse_foreign(request)
        given = await _given(request, SignUpGiven)
        attempt(request)
        accepted = passwords.valid_password(given.password)
        async with self.database.read_session() as reading:
            await invitations.offer_of(reading, given.invitation)
        hashed = await passwords.hashed(accepted)
        async with self.database.write_transaction() as session:
            offer = await invitations.locked_offer(session, given.invitation)
            email = offer.invitation.email
            user = await users.create(
                session, None, name=given.name, email=email, password_hash=hashed
            )
            actor = Actor(user.id, user.name, address=address_of(request.scope) or None)
            await invitations.accept(session, actor, user, given.invitation)
            return await self.signed_in(session, request, user)

    async def password(self, request: Request) -> Response:
        self.refuse_foreign(request)
        given = await _given(request, PasswordGiven)
        attempt(request)
        accepted = passwords.valid_password(given.password)
        async with self.database.read_session() as reading:
            await users.holder_of(reading, given.link)
        hashed = await passwords.hashed(accepted)
        async with self.database.write_transaction() as session:
            user = await users.redeem(session, given.link, hashed)
            return await self.signed_in(session, request, user)

    async def signed_in(self, session: WriteSession, request: Request, user: User) -> Response:
        """A new session, in place of the one that the browser had; its cookie is in the answer."""
        cookie, secret, row = await self.new_session(session, request, user)
        response = answer_of(session_answer(user, row, secret, Methods.of(self.settings)))
        response.headers["Set-Cookie"] = cookie
        return response

    async def new_session(
        self, session: WriteSession, request: Request, user: User
    ) -> tuple[str, str, UserSession]:
        """The ``Set-Cookie`` header, the secret and the row."""
        previous = self.secret_of(request)
        if previous is not None:
            await sessions.forget(session, hash_of(previous))
        row, secret = await sessions.start(
            session,
            self.settings,
            user,
            address=address_of(request.scope),
            user_agent=request.headers.get("user-agent", ""),
        )
        seconds = self.settings.session_max_hours * 3600
        return cookies.set_cookie(self.settings, secret, seconds=seconds), secret, row

    def secret_of(self, request: Request) -> str | None:
        return cookies.read(self.settings, request.headers.get("cookie", ""))

    async def actor_of(self, request: Request) -> Actor | None:
        """Of the session, or a token. Raises what ``authenticate`` does."""
        return await authenticate(request.scope, self.database, self.settings)

    def refuse_foreign(self, request: Request) -> None:
        """Raises CrossOrigin for a page of another origin that signs somebody in as somebody else.

        A program, which says nothing of origins, may: there is no cookie of anybody yet.
        """
        headers = headers_of(request.scope)
        by_browser = "origin" in headers or "sec-fetch-site" in headers
        cookies.refuse_foreign(self.settings, headers, changes=by_browser)


def attempt(request: Request, account: str | None = None) -> None:
    """Count what may be a guess. Raises RateLimited."""
    standing = standing_of(request.scope)
    if standing is not None:
        standing.attempt(account)


async def _given(request: Request, kind: type[G]) -> G:
    """The body. JSON by its content type too: a form of another origin cannot send that."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InvalidInput("The body must be JSON, and say so: Content-Type: application/json.")
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > MAX_BODY_BYTES:
                raise BodyTooLarge(f"A request's body has at most {MAX_BODY_BYTES:,} bytes.")
        return msgspec.json.decode(bytes(received), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The body is not what is expected here: {error}") from error
    except ClientDisconnect as error:
        raise InvalidInput("The body ended early.") from error
