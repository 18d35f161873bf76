"""Traefik's page, as 3.x writes it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.adapters.traefik.requests import TraefikRequests, counters
from app.metrics.plan import BOUNDS

PAGE = b"""# HELP traefik_service_requests_total How many HTTP requests processed on a service.
# TYPE traefik_service_requests_total counter
traefik_service_requests_total{code="200",method="GET",protocol="http",service="acme--shop-web-production@http"} 5
traefik_service_requests_total{code="502",method="GET",protocol="http",service="acme--shop-web-production@http"} 2
traefik_service_requests_total{code="404",method="POST",protocol="http",service="b--x@consulcatalog"} 1e+06
traefik_service_request_duration_seconds_bucket{code="200",method="GET",protocol="http",service="acme--shop-web-production@http",le="0.005"} 3
traefik_service_request_duration_seconds_bucket{code="200",method="GET",protocol="http",service="acme--shop-web-production@http",le="0.01"} 5
traefik_service_request_duration_seconds_bucket{code="200",method="GET",protocol="http",service="acme--shop-web-production@http",le="+Inf"} 5
traefik_service_request_duration_seconds_sum{code="200",method="GET",protocol="http",service="acme--shop-web-production@http"} 0.02
traefik_config_reloads_total 3
"""


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(PAGE), size):
        yield PAGE[start : start + size]


async def test_counts_are_the_same_however_the_page_arrives() -> None:
    whole = await counters(in_pieces(len(PAGE)))
    assert await counters(in_pieces(7)) == whole
    shop = whole["acme--shop-web-production"]
    assert (shop.total, shop.errors) == (7, 2)
    assert shop.latencies[:2] == (3, 2)
    assert whole["b--x"].total == 1_000_000
    assert len(shop.latencies) == len(BOUNDS) + 1


async def test_a_router_that_does_not_answer_is_left_out() -> None:
    assert await TraefikRequests(["http://127.0.0.1:1/metrics"]).read() == {}
