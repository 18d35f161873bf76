"""Traefik's own counters, from the page that it makes for Prometheus.

The page of a large platform has megabytes: it is read line by line, by the small client that the worker
has anyway.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise

from app.agent.http import HTTPFailure, locate, request
from app.metrics.plan import BOUNDS, Requests
from app.settings import Settings

log = logging.getLogger(__name__)

_SECONDS = 10.0
_LINE = re.compile(
    r"traefik_service_(?P<what>requests_total|request_duration_seconds_bucket)"
    r"\{(?P<labels>[^}]*)\} (?P<value>[0-9.e+]+)"
)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class TraefikRequests:
    """``pages``: the address of each router's page, ``http://127.0.0.1:7081/metrics``."""

    def __init__(self, pages: Sequence[str]) -> None:
        self._pages = pages
        self._silent: set[str] = set()

    async def read(self) -> Mapping[str, Mapping[str, Requests]]:
        found: dict[str, Mapping[str, Requests]] = {}
        for page in self._pages:
            try:
                found[page] = await _read(page)
            except HTTPFailure as error:
                if page not in self._silent:
                    log.warning("no request counts from %s: %s", page, error)
                self._silent.add(page)
            else:
                self._silent.discard(page)
        return found


def router_pages(settings: Settings, engine: str) -> Sequence[str]:
    """The configured ones; else that of the Traefik whose API we know."""
    if settings.traefik_metrics:
        return [page.strip() for page in settings.traefik_metrics.split(",") if page.strip()]
    if settings.traefik_api:
        return [f"{settings.traefik_api.rstrip('/')}/metrics"]
    return [f"http://127.0.0.1:{settings.ingress_api_port}/metrics"] if engine == "embedded" else []


async def _read(page: str) -> Mapping[str, Requests]:
    endpoint, target = locate(page)
    async with request(endpoint, "GET", target, timeout=_SECONDS) as response:
        if response.status != 200:
            raise HTTPFailure(f"it answers {response.status}", connected=True)
        return await counters(response.chunks)


async def counters(chunks: AsyncIterator[bytes]) -> Mapping[str, Requests]:
    """By the service's name, without the ``@provider`` that Traefik adds."""
    totals: dict[str, list[int]] = {}
    below: dict[str, list[int]] = {}
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"traefik_service_request"):
                _count(line.decode(errors="replace"), totals, below)
    return {
        service: Requests(total, errors, _latencies(below.get(service)))
        for service, (total, errors) in totals.items()
    }


def _count(line: str, totals: dict[str, list[int]], below: dict[str, list[int]]) -> None:
    match = _LINE.match(line)
    if match is None:
        return
    labels = dict(_LABEL.findall(match["labels"]))
    service = labels.get("service", "").partition("@")[0]
    value = int(float(match["value"]))
    if match["what"] == "requests_total":
        counted = totals.setdefault(service, [0, 0])
        counted[0] += value
        counted[1] += value if labels.get("code", "").startswith("5") else 0
        return
    bound = float(labels.get("le", "nan").replace("+Inf", "inf"))
    position = len(BOUNDS) if bound == float("inf") else _POSITIONS.get(bound)
    if position is not None:
        below.setdefault(service, [0] * (len(BOUNDS) + 1))[position] += value


_POSITIONS = {bound: position for position, bound in enumerate(BOUNDS)}


def _latencies(below: Sequence[int] | None) -> tuple[int, ...]:
    """Prometheus counts what took at most so long; here each request is counted once."""
    if below is None:
        return Requests().latencies
    return (below[0], *(max(0, b - a) for a, b in pairwise(below)))
