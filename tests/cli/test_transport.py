"""What answers instead of a platform, and what a command makes of it. Live views outlast a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.cli import live
from app.cli.client.transport import Client, Operation
from app.cli.failures import (
    ClientFailure,
    Interrupted,
    NotSignedIn,
    OutOfReach,
    Unreachable,
)

Answer = Callable[[BaseHTTPRequestHandler], None]
NUMBER = Operation[int]("subscription { number }", int)


@contextmanager
def _answering(*answers: Answer) -> Iterator[tuple[Client, list[str]]]:
    """One answer a request, and the Authorization headers that came."""
    seen: list[str] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers["Content-Length"]))
            left.pop(0)(self)

        do_GET = do_POST

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield Client(f"http://127.0.0.1:{server.server_port}", "paas_secret"), seen
        finally:
            server.shutdown()
            thread.join()


def _body(status: int, body: str, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def _events(*numbers: int, complete: bool) -> Answer:
    lines = [f'event: next\r\ndata: {{"data": {{"number": {n}}}}}\r\n\r\n' for n in numbers]
    return _body(200, ": alive\r\n\r\n" + "".join(lines) + "event: complete\r\n\r\n" * complete)


@pytest.mark.parametrize(
    ("status", "body", "failure", "words"),
    [
        (200, "<html>hello", Unreachable, "does not speak GraphQL"),
        (200, '{"data": {"number": "one"}}', Unreachable, "is not understood"),
        (200, '{"errors": [{"message": "Cannot query field"}]}', Unreachable, "Cannot query field"),
        (200, '{"errors": [{"message": "No.", "extensions": {"code": "FORBIDDEN"}}]}', OutOfReach, "No."),
        (401, '{"errors": [{"message": "No.", "extensions": {"code": "UNAUTHENTICATED"}}]}', NotSignedIn, "No."),
        (401, "", NotSignedIn, "is not valid"),
        (429, '{"error": {"code": "LIMIT_REACHED", "message": "Slowly.", "hint": null}}', ClientFailure, "Slowly."),
        (502, "<html>", Interrupted, "the HTTP status 502"),
        (404, "", Unreachable, "the HTTP status 404"),
    ],
)  # fmt: skip
def test_each_answer_is_the_failure_that_it_is(
    status: int, body: str, failure: type[ClientFailure], words: str
) -> None:
    with _answering(_body(status, body)) as (client, _), pytest.raises(failure) as raised:
        client.execute(NUMBER, {})
    assert words in raised.value.message
    assert type(raised.value) is failure


def test_redirect_does_not_take_the_token_elsewhere() -> None:
    with (
        _answering(_body(200, '{"data": {"number": 1}}')) as (other, seen),
        _answering(_body(307, "", Location=f"{other.host}/graphql")) as (client, _),
        pytest.raises(Unreachable, match="307"),
    ):
        client.execute(NUMBER, {})
    assert seen == []


def test_stream_that_breaks_off_goes_on_and_one_that_ended_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "_PAUSE_SECONDS", 0.0)
    answers = (_events(1, 2, complete=False), _body(503, ""), _events(3, complete=True))
    with _answering(*answers) as (client, seen):
        assert list(live.resumed(lambda: client.subscribe(NUMBER, {}))) == [1, 2, 3]
    assert seen == ["Bearer paas_secret"] * 3


def test_stream_of_a_platform_that_stays_away_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(live, "GIVE_UP_SECONDS", 0.0)
    with _answering(_body(503, "")) as (client, _), pytest.raises(Interrupted):
        list(live.resumed(lambda: client.subscribe(NUMBER, {})))
