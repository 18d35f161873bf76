"""GraphQL over HTTP with the standard library: a command must begin at once (docs/decisions/a-light-client.md)."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import IO, Any, Generic, TypeVar, cast

import msgspec
from msgspec import Struct

from app.cli.failures import ClientFailure, Interrupted, NotSignedIn, Unreachable, refusal

Answer = TypeVar("Answer")

_SECONDS = 60
_STREAM_SECONDS = 60
"""Longest silence of a subscription: the platform sends a sign of life much more often."""


class Operation(Generic[Answer]):
    """A document with one root field, and the type of that field."""

    def __init__(self, document: str, answer: Any) -> None:
        self.document = document
        self._answer = answer

    def decode(self, data: msgspec.Raw) -> Answer:
        """Raises Unreachable when it is not what the document asked for."""
        try:
            decoded = msgspec.json.decode(data, type=dict[str, self._answer])  # type: ignore[name-defined]
        except msgspec.MsgspecError as error:
            raise Unreachable(
                f"The platform's answer is not understood: {error}", hint=_OTHER_VERSION
            ) from error
        (answer,) = decoded.values()
        return cast("Answer", answer)


class _Error(Struct):
    message: str
    extensions: dict[str, Any] = {}


class _Told(Struct):
    """As REST and signing in tell a failure."""

    code: str
    message: str
    hint: str | None = None


class _Response(Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[_Error] = []
    error: _Told | None = None


_OTHER_VERSION = "`paas` and the platform are of versions that do not fit: use the same for both."


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token to wherever it says."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Client:
    """``host``: ``https://paas.example.com``. Every method raises a ClientFailure."""

    def __init__(self, host: str, token: str | None) -> None:
        self.host = host
        self.token = token
        self._opener = urllib.request.build_opener(_NoRedirect)

    def execute(self, operation: Operation[Answer], variables: Mapping[str, Any]) -> Answer:
        """The one root field. A mutation's ``userErrors`` are raised."""
        with self._post(operation, variables, "application/json", _SECONDS) as response:
            body = _read(response, self.host)
        answer = operation.decode(_data(body))
        for error in getattr(answer, "user_errors", ()):
            raise refusal(error.code, error.message, error.hint, ".".join(error.field or ()))
        return answer

    def subscribe(
        self, operation: Operation[Answer], variables: Mapping[str, Any]
    ) -> Iterator[Answer]:
        """Each event, over graphql-sse; ends when the platform ends it."""
        with self._post(operation, variables, "text/event-stream", _STREAM_SECONDS) as response:
            for event, data in _events(response, self.host):
                if event == "complete":
                    return
                if event == "next":
                    yield operation.decode(_data(data))

    def post(self, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is no GraphQL: signing in."""
        with self._send(path, given, "application/json", _SECONDS) as response:
            body = _read(response, self.host)
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise Unreachable("What answers there is no platform.") from error

    def _post(
        self, operation: Operation[Any], variables: Mapping[str, Any], accept: str, seconds: float
    ) -> http.client.HTTPResponse:
        body = {"query": operation.document, "variables": dict(variables)}
        return self._send("/graphql", body, accept, seconds)

    def _send(
        self, path: str, given: Mapping[str, Any], accept: str, seconds: float
    ) -> http.client.HTTPResponse:
        body = msgspec.json.encode(given)
        headers = {"Content-Type": "application/json", "Accept": accept, "User-Agent": "paas-cli"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(f"{self.host}{path}", body, headers)
        try:
            return cast("http.client.HTTPResponse", self._opener.open(request, timeout=seconds))
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error.code, _text(error), self.host) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise Interrupted(
                f"The platform at {self.host} does not answer: {reason}.",
                hint="Does it run, and is the address right? `paas whoami` shows which host is used.",
            ) from error


def _read(response: http.client.HTTPResponse, host: str) -> bytes:
    try:
        return response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _broke_off(host, error) from error


def _text(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return b""


def _broke_off(host: str, error: Exception) -> Interrupted:
    return Interrupted(f"The connection to {host} broke off: {error}.", hint="Try again.")


def _data(body: bytes) -> msgspec.Raw:
    try:
        response = msgspec.json.decode(body, type=_Response)
    except msgspec.MsgspecError as error:
        raise Unreachable(
            "What answers there is no platform: it does not speak GraphQL.",
            hint="Check the host's address.",
        ) from error
    if response.errors:
        raise _of(response.errors[0])
    if bytes(response.data) == b"null":
        raise Unreachable("The platform's answer holds no data.", hint=_OTHER_VERSION)
    return response.data


def _of(error: _Error) -> ClientFailure:
    code = error.extensions.get("code")
    if code is None:
        return Unreachable(
            f"The platform refused the request: {error.message}", hint=_OTHER_VERSION
        )
    hint = error.extensions.get("hint")
    if code == "UNAUTHENTICATED":
        hint = "Sign in: paas login"
    if code == "INTERNAL":
        hint = f"Its operator finds it in the log under {error.extensions.get('requestId')}."
    return refusal(code, error.message, hint)


def _refused(status: int, body: bytes, host: str) -> ClientFailure:
    try:
        told = msgspec.json.decode(body, type=_Response)
    except msgspec.MsgspecError:
        told = _Response()
    if told.errors:
        return _of(told.errors[0])
    if told.error is not None:
        return refusal(told.error.code, told.error.message, told.error.hint)
    if status == 401:
        return NotSignedIn(f"The token for {host} is not valid.", hint="Sign in: paas login")
    kind = Interrupted if status >= 500 else Unreachable
    return kind(
        f"{host} answered with the HTTP status {status}.",
        hint="Check the host's address; a proxy in front of the platform may have answered.",
    )


def _events(response: IO[bytes], host: str) -> Iterator[tuple[str, bytes]]:
    """(event, data) of a stream of server-sent events; comments are signs of life."""
    event, data = "", b""
    while True:
        try:
            line = response.readline()
        except (OSError, http.client.HTTPException) as error:
            raise _broke_off(host, error) from error
        if not line:
            raise _broke_off(host, EOFError("it was closed"))
        name, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            event = value.decode()
        elif name == b"data":
            data += value
        elif not line.strip() and event:
            yield event, data
            event, data = "", b""
