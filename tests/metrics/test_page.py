"""The page for Prometheus, and traces, as whoever collects them gets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app import tracing
from app.db import Database
from app.http import health, metrics
from app.http.measured import Answers, Measured
from app.models import MetricSample
from app.reconcile.driver import Driver
from app.reconcile.lease import HeldLease
from app.settings import Settings
from tests.conftest import free_port
from tests.factories import make_instance

TOKEN = "scrape-me"


@asynccontextmanager
async def api(database: Database, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    answers: dict[tuple[str, str], Answers] = {}
    routes = [*health.routes(database), metrics.route(settings, database, answers)]
    application = Starlette(routes=routes, middleware=[Middleware(Measured, answers)])
    transport = httpx2.ASGITransport(app=tracing.traced(application))
    async with httpx2.AsyncClient(transport=transport, base_url="http://paas") as client:
        yield client


async def test_the_page_tells_of_the_platform_and_of_apps(database: Database) -> None:
    placed = await make_instance(database)
    async with database.write_transaction() as session:
        session.add(
            MetricSample(
                instance_id=placed.instance.id,
                at=datetime.now(UTC),
                copies=2,
                cpu_millis=1500,
                memory_bytes=12345,
                requests=120,
                errors=6,
                latencies=[],
            )
        )
    settings = Settings(metrics_token=TOKEN)
    async with api(database, settings) as client:
        await client.get("/readyz")
        await client.get("/no/such/page")
        answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    place = {
        "organization": placed.organization.slug,
        "project": placed.project.slug,
        "app": placed.app.slug,
        "environment": placed.environment.slug,
    }

    def value(name: str, labels: dict[str, str]) -> float:
        return next(s.value for s in families[name].samples if s.labels == labels)

    assert value("paas_instance_cpu_cores", place) == 1.5
    assert value("paas_instance_memory_bytes", place) == 12345
    assert value("paas_instance_requests_per_second", place) == 2
    assert value("paas_instance_errors_per_second", place) == 0.1
    counts = {
        (s.labels["part"], s.labels["code"]): s.value
        for s in families["paas_api_request_seconds"].samples
        if s.name.endswith("_count")
    }
    assert counts == {("readyz", "2xx"): 1, ("other", "4xx"): 1}


async def test_the_page_is_for_the_scrape_token_alone(database: Database) -> None:
    async with api(database, Settings(metrics_token=TOKEN)) as client:
        for headers in (
            {},
            {"Authorization": "Bearer scrape-m"},
            {"Authorization": f"Basic {TOKEN}x"},
        ):
            assert (await client.get("/metrics", headers=headers)).status_code == 401
    async with api(database, Settings()) as client:
        off = await client.get("/metrics", headers={"Authorization": "Bearer "})
        assert off.status_code == 404
        assert "PAAS_METRICS_TOKEN" in off.text


class Once:
    kind = "once"
    period = 60.0
    concurrency = 1

    def __init__(self) -> None:
        self.done = False

    async def pending(self) -> list[str]:
        return [] if self.done else ["key"]

    async def reconcile(self, key: str, lease: HeldLease) -> None:
        self.done = True


async def test_traces_reach_the_collector(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[Any] = []

    async def collect(request: Request) -> Response:
        parsed = ExportTraceServiceRequest.FromString(await request.body())
        for resource in parsed.resource_spans:
            spans.extend(span for scope in resource.scope_spans for span in scope.spans)
        return PlainTextResponse("")

    collector = Starlette(routes=[Route("/v1/traces", collect, methods=["POST"])])
    async with serving(collector) as address:
        tracing.configure(Settings(otlp_endpoint=address), role="api", database=database)
        try:
            async with api(database, Settings()) as client:
                await client.get("/readyz")
            await Driver(database, [Once()]).run_until_idle()
        finally:
            await asyncio.to_thread(
                tracing.close
            )  # it waits for the collector, which this loop serves
    names = {span.name for span in spans}
    assert {"GET /readyz", "reconcile once"} <= names
    request = next(span for span in spans if span.name == "GET /readyz")
    assert any(span.parent_span_id == request.span_id for span in spans), names


@asynccontextmanager
async def serving(application: Starlette) -> AsyncIterator[str]:
    """Its address, on a real port."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application, port=port, log_level="warning"))
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await running
