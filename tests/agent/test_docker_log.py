"""What the Docker engine sends of a container's log, copied into files: without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.agent import dockerlogs
from app.agent.dockerlogs import Spool
from app.agent.driver import Exit
from app.agent.http import Endpoint, HTTPFailure
from app.agent.store import Store
from app.ports.scheduler import Output

Entry = tuple[int, int, str]
"""Stream, the hundredth of a nanosecond that tells times apart, text."""
LOG: Sequence[Entry] = (
    (1, 1, "one\n"),
    (2, 1, "oops\n"),
    (1, 1, "two\n"),
    (1, 2, "three\n"),
    (2, 3, "end\n"),
)
OUT, ERR = "one\ntwo\nthree\n", "oops\nend\n"


def _frame(stream: int, time: int, text: str) -> bytes:
    data = f"2026-11-24T13:00:00.{time:09}Z {text}".encode()
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


class Docker:
    """Sends what it holds from the time asked for on, and breaks off after so many bytes if told to."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)
        self.cut: int | None = None

    def request(self, endpoint: Endpoint, method: str, target: str, *, timeout: Any) -> Any:
        since = int(target.rpartition(".")[2]) if "since=" in target else 0
        whole = b"".join(_frame(*entry) for entry in self.entries if entry[1] >= since)
        return _Answer(whole, self.cut)


class _Answer:
    def __init__(self, content: bytes, cut: int | None) -> None:
        self._content = content
        self._cut = cut

    async def __aenter__(self) -> Any:
        return SimpleNamespace(status=200, chunks=self._chunks())

    async def __aexit__(self, *_: object) -> None:
        pass

    async def _chunks(self) -> AsyncIterator[bytes]:
        end = len(self._content) if self._cut is None else self._cut
        for at in range(0, end, 7):
            yield self._content[at : min(at + 7, end)]
        if self._cut is not None:
            raise HTTPFailure("cut off", connected=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path, tmp_path / "apps")
    store.prepare()
    store.copy_folder("c").mkdir()
    for path in store.log_paths("c"):
        path.touch()
    return store


async def _spool(store: Store, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dockerlogs, "request", docker.request)
    ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
    ended.set_result(Exit(0))
    await Spool(store, Endpoint(), "", "c", "container", ended).finish(10)


def _files(store: Store) -> tuple[str, str]:
    out, err = (store.log_path("c", stream).read_text() for stream in Output)
    return out, err


async def test_each_stream_has_a_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await _spool(store, Docker(LOG), monkeypatch)
    assert _files(store) == (OUT, ERR)


async def test_wherever_it_was_cut_off_it_goes_on_without_gap_or_repeat(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = Docker(LOG)
    total = len(b"".join(_frame(*entry) for entry in LOG))
    for cut in range(0, total, 11):
        docker.cut = cut
        await _spool(store, docker, monkeypatch)
    docker.cut = None
    await _spool(store, docker, monkeypatch)
    assert _files(store) == (OUT, ERR)


async def test_what_was_appended_before_the_state_was_saved_is_not_appended_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _spool(store, Docker(LOG[:2]), monkeypatch)
    store.log_path("c", Output.STDOUT).write_text("one\ntwo\nth")
    await _spool(store, Docker(LOG), monkeypatch)
    assert _files(store) == (OUT, ERR)


async def test_what_docker_dropped_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await _spool(store, Docker(LOG[:3]), monkeypatch)
    await _spool(store, Docker(LOG[4:]), monkeypatch)
    out, err = _files(store)
    assert out == "one\ntwo\n"
    assert "dropped some" in err
    assert err.endswith("end\n")
