"""One row of the REST table: everything that routing, decoding and the OpenAPI document need to know."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from app.access.actor import Actor
from app.crypto import SecretBox
from app.db import Database, ReadSession, WriteSession
from app.ports.logs import LogStore
from app.ports.repositories import Repositories
from app.settings import Settings

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class RestContainer(Protocol):
    """What of the process's wiring is used here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def database(self) -> Database: ...
    @property
    def secret_box(self) -> SecretBox: ...
    @property
    def repositories(self) -> Repositories: ...
    @property
    def logs(self) -> LogStore: ...


class Given(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a client sends: a body, or the query of a GET or DELETE."""


class Nothing(Given, frozen=True):
    """The endpoint takes no input."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a client is sent."""


class PlainText(Answer, frozen=True):
    """Sent as ``text/plain`` instead of JSON."""

    text: str


S = TypeVar("S")
I = TypeVar("I", bound=Given)  # noqa: E741


@dataclass(frozen=True)
class Call(Generic[S, I]):
    """A request, authenticated and decoded. Its transaction ends with the handler."""

    session: S
    actor: Actor
    container: RestContainer
    path: Mapping[str, str]
    input: I

    def slugs(self, *names: str) -> tuple[str, ...]:
        """The path's parts of these names; the organization and project come first if not told."""
        return tuple(self.path[name] for name in ("org", "project", *names))


ReadCall: TypeAlias = Call[ReadSession, I]
WriteCall: TypeAlias = Call[WriteSession, I]
Result: TypeAlias = Awaitable[Answer | None]


@dataclass(frozen=True)
class Endpoint:
    method: Method
    path: str
    """With a trailing slash for collections; both spellings are answered."""
    handle: Callable[[Any], Result]
    input: type[Given]
    answer: type[Answer] | None
    """None: status 204 and no body."""
    status: int

    @property
    def takes_body(self) -> bool:
        return self.method in {"POST", "PUT", "PATCH"} and self.input is not Nothing

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handle.__doc__ or "").strip().splitlines()[0]

    @property
    def name(self) -> str:
        """``create_project``: the handler's name, unique in the table."""
        return self.handle.__name__

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)


A = TypeVar("A", bound=Answer)


def read(
    path: str,
    handle: Callable[[ReadCall[I]], Awaitable[A]],
    answer: type[A],
    input: type[I] | type[Nothing] = Nothing,
) -> Endpoint:
    """A GET, in a read session."""
    return Endpoint("GET", path, handle, input, answer, 200)


def write(
    method: Method,
    path: str,
    handle: Callable[[WriteCall[I]], Awaitable[A | None]],
    answer: type[A] | None,
    input: type[I] | type[Nothing] = Nothing,
    *,
    status: int | None = None,
) -> Endpoint:
    """Anything else, in one write transaction."""
    return Endpoint(method, path, handle, input, answer, status or (200 if answer else 204))
