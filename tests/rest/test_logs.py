"""Logs over REST: JSON and text."""

from __future__ import annotations

import contextlib

from app.adapters.segments.writer import SegmentWriter
from app.ports.logs import LogLevel, LogLine, LogStream, Progress
from tests.rest.conftest import Api

_APPS = "/api/orgs/acme/projects/storefront/apps/"
_LOGS = _APPS + "web/envs/production/logs"
_MICROS = 1_900_000_000_000_000


async def _write(api: Api, count: int) -> None:
    """``count`` lines, an error to stderr at every tenth."""
    await api.owner.ok("POST", "/api/orgs/acme/projects/", {"slug": "storefront"})
    await api.owner.ok("POST", _APPS, {"slug": "web"})
    instance = await api.owner.ok("GET", _APPS + "web/envs/production")
    folder = api.wiring.settings.home_path / "logs" / "apps" / instance["id"]
    lines = [
        LogLine(
            0,
            _MICROS + number,
            LogStream.STDOUT if number % 10 else LogStream.STDERR,
            None if number % 10 else LogLevel.ERROR,
            "0123456789ab",
            "",
            f"line {number}",
        )
        for number in range(count)
    ]
    with contextlib.closing(SegmentWriter(folder, segment_bytes=900, segment_seconds=60)) as writer:
        for line in lines:
            writer.append("0123456789ab", [line], Progress())


async def test_the_end_is_shown_first_and_pages_lead_back(api: Api) -> None:
    await _write(api, 130)
    end = await api.viewer.ok("GET", _LOGS)
    assert [line["message"] for line in end["lines"]] == [f"line {n}" for n in range(30, 130)]
    assert end["hasPrevious"]
    cursor = end["lines"][0]["cursor"]
    older = await api.viewer.ok("GET", f"{_LOGS}?last=100&before={cursor}")
    assert [line["message"] for line in older["lines"]] == [f"line {n}" for n in range(30)]
    assert not older["hasPrevious"]


async def test_filters_are_words_with_commas(api: Api) -> None:
    await _write(api, 30)
    found = await api.viewer.ok("GET", f"{_LOGS}?level=warn,error&stream=stderr&text=LINE")
    assert [line["message"] for line in found["lines"]] == ["line 0", "line 10", "line 20"]
    assert found["lines"][0]["level"] == "error"
    error = await api.viewer.error("GET", f"{_LOGS}?level=loud")
    assert (error["status"], error["field"]) == (422, "level")


async def test_text_has_a_line_each(api: Api) -> None:
    await _write(api, 12)
    headers = {"Authorization": f"Bearer {api.viewer.secret}"}
    answer = await api.http.get(f"{_LOGS}.txt?last=2", headers=headers)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == (
        "2030-03-17T17:46:40.000Z 01234567 stderr ERROR line 10\n"
        "2030-03-17T17:46:40.000Z 01234567 stdout line 11\n"
    )


async def test_a_stranger_finds_nothing(api: Api) -> None:
    await _write(api, 1)
    there = await api.stranger.error("GET", _LOGS)
    absent = await api.stranger.error("GET", _LOGS.replace("acme", "nobody"))
    assert there == absent
