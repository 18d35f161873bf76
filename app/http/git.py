"""git smart HTTP: ``/git/{org}/{project}/{app}.git``, one remote per app.

A raw ASGI application, because a push is a long stream in both directions at once. Journey of a push:
authenticate here → ``Repositories.receive_pack`` → ``app/pushes/service.py``.
"""

from __future__ import annotations

import asyncio
import logging
import re
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol, cast

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive, Scope, Send

from app.access import find
from app.access.actor import Actor
from app.access.authenticate import address_of, credential_of, identify, record_use
from app.access.find import Place
from app.access.permissions import Permission, require_somewhere
from app.crypto import SecretBox
from app.db import Database
from app.errors import ExternalFailure, InvalidInput, NotFound, PaasError, Unauthenticated
from app.http.admissions import Admissions
from app.http.git_streams import Answer, Requests, refuse
from app.ports.repositories import Exchange, Repositories, Service
from app.pushes.handler import Pushes, PushHandler
from app.reconcile.wake import WakeListener
from app.settings import Settings

logger = logging.getLogger(__name__)

_PATH = re.compile(
    r"(?:/git)?/(?P<org>[^/]+)/(?P<project>[^/]+)/(?P<app>[^/]+)\.git/"
    r"(?P<rest>info/refs|git-upload-pack|git-receive-pack)"
)
_FETCH_REQUEST_MAX_BYTES = 64 * 1024**2
"""A fetch sends what it has: some 50 bytes a ref or commit."""
_LARGE_BYTES = 1024**2
"""From this on git sends in chunks, whose number it does not know beforehand."""
_SLACK_BYTES = 16 * 1024**2
"""git itself refuses a pack over the limit with a clear message; this is for what is no pack."""


class GitContainer(Protocol):
    """What of the process's wiring is used here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def repositories(self) -> Repositories: ...
    @property
    def secret_box(self) -> SecretBox: ...
    @property
    def wakes(self) -> WakeListener: ...


@dataclass(frozen=True)
class Request:
    """What was asked, before it is known by whom."""

    slugs: tuple[str, str, str]
    service: Service
    advertise: bool
    headers: Mapping[bytes, bytes]
    address: str

    @property
    def permission(self) -> Permission:
        pushes = self.service == "git-receive-pack"
        return Permission.CODE_PUSH if pushes else Permission.CODE_READ


class GitApp:
    """Mount it at ``/git``."""

    def __init__(self, container: GitContainer) -> None:
        self._settings = container.settings
        self._database = container.database
        self._repositories = container.repositories
        self._wakes = container.wakes
        self._admissions = Admissions()
        self._pushes = Pushes(
            container.database,
            container.repositories,
            container.settings,
            container.secret_box,
            self._wakes,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ExternalFailure("git speaks HTTP only.")
        try:
            request = _parse(scope)
            actor, place = await self._admit(request)
            await self._repositories.create(_key(place))
        except Unauthenticated as error:
            await refuse(send, 401, _text(error), challenge=True)
        except PaasError as error:
            await refuse(send, error.http_status, _text(error))
        except (SQLAlchemyError, OSError):
            logger.exception("git: a request could not be admitted")
            await refuse(
                send, 503, "The platform's database does not answer. Try again in a moment."
            )
        else:
            await self._serve(request, actor, place, receive, send)

    async def _admit(self, request: Request) -> tuple[Actor, Place]:
        """Who asks, and for which app. Raises what a stranger and a member are told."""
        credential = credential_of(_text_of(request.headers), self._settings, basic=True)
        if credential is None:
            raise Unauthenticated(
                "This repository needs a token.",
                hint="Give any user name, and an API token as the password.",
            )
        pushes = request.service == "git-receive-pack"
        if pushes and not request.advertise:
            admitted = self._admissions.take(credential.secret, request.slugs)
            if admitted is not None:
                return admitted
        async with self._database.read_session() as session:
            actor, unrecorded = await identify(session, self._settings, credential)
            place = await find.app_place(session, actor, request.slugs)
            await require_somewhere(session, actor, place.scope, request.permission)
        if unrecorded:
            async with self._database.write_transaction() as session:
                await record_use(session, actor, request.address)
        actor = replace(actor, address=request.address or None)
        if pushes:
            place.require_live()
        if pushes and request.advertise:
            self._admissions.note(credential.secret, request.slugs, actor, place)
        return actor, place

    async def _serve(
        self, request: Request, actor: Actor, place: Place, receive: Receive, send: Send
    ) -> None:
        kind = "advertisement" if request.advertise else "result"
        answer = Answer(send, f"application/x-{request.service}-{kind}")
        try:
            if request.advertise:
                await self._advertise(request, place, answer)
            else:
                await self._exchange(request, actor, place, receive, answer)
            await answer.end()
        except PaasError as error:
            if answer.started:
                logger.info("git: %s broke off: %s", place.path, error)
            else:
                await refuse(send, error.http_status, _text(error))

    async def _advertise(self, request: Request, place: Place, answer: Answer) -> None:
        protocol = _protocol(request.headers)
        async for chunk in self._repositories.advertise(_key(place), request.service, protocol):
            await answer.write(chunk)

    async def _exchange(
        self, request: Request, actor: Actor, place: Place, receive: Receive, answer: Answer
    ) -> None:
        if request.headers.get(b"content-length") == b"4":
            return  # The empty request ("0000") with which git asks whether it may send a large one.
        pushes = request.service == "git-receive-pack"
        limit = self._settings.push_max_mb * 1024**2 + _SLACK_BYTES
        client = Requests(
            receive,
            gzipped=request.headers.get(b"content-encoding") in {b"gzip", b"x-gzip"},
            max_bytes=limit if pushes else _FETCH_REQUEST_MAX_BYTES,
        )
        async with _exchange_of(client, answer, request.headers) as exchange:
            if pushes:
                await self._wakes.start()
                async with aclosing(PushHandler(self._pushes, actor, place)) as handler:
                    await self._repositories.receive_pack(
                        _key(place), exchange, handler, arrived=handler.arrived
                    )
            else:
                await self._repositories.upload_pack(_key(place), exchange)


@asynccontextmanager
async def _exchange_of(
    client: Requests, answer: Answer, headers: Mapping[bytes, bytes]
) -> AsyncIterator[Exchange]:
    watching = asyncio.create_task(client.watch())
    try:
        yield Exchange(
            body=client.body(),
            send=answer.write,
            protocol=_protocol(headers),
            gone=client.gone,
            large=int(headers.get(b"content-length", _LARGE_BYTES)) >= _LARGE_BYTES,
        )
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _parse(scope: Scope) -> Request:
    """Raises NotFound or InvalidInput for what no git client asks."""
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    match = _PATH.fullmatch(path)
    if match is None:
        raise NotFound("There is no such repository.", hint="It is /git/ORG/PROJECT/APP.git.")
    query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
    advertise = match["rest"] == "info/refs"
    service = query.get("service", [""])[0] if advertise else match["rest"]
    if service not in {"git-upload-pack", "git-receive-pack"}:
        raise InvalidInput("Only git's smart HTTP protocol is spoken here.")
    headers = {name.lower(): value for name, value in scope["headers"]}
    if scope["method"] != ("GET" if advertise else "POST"):
        raise InvalidInput(f"The method {scope['method']} means nothing here.")
    wanted = f"application/x-{service}-request".encode()
    if not advertise and headers.get(b"content-type") != wanted:
        raise InvalidInput(f"The request's content type must be {wanted.decode()}.")
    slugs = (match["org"], match["project"], match["app"])
    return Request(slugs, cast(Service, service), advertise, headers, address_of(scope))


def _text_of(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}


def _protocol(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"git-protocol", b"").decode("latin-1")


def _key(place: Place) -> str:
    assert place.app is not None
    return place.app.repository_key


def _text(error: PaasError) -> str:
    return error.message if error.hint is None else f"{error.message}\n{error.hint}"
