"""OpenTelemetry traces, where a collector's address is set; otherwise nothing of it is even imported.

A request is a span with its SQL statements below it, and so is each piece of reconcilers' work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from starlette.types import ASGIApp

from app.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from app.db import Database

_provider: TracerProvider | None = None


def configure(settings: Settings, *, role: str, database: Database) -> None:
    """Once a process, when its database is there. Without ``otlp_endpoint`` it does nothing."""
    global _provider
    if not settings.otlp_endpoint:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _provider = TracerProvider(resource=Resource.create({"service.name": f"paas-{role}"}))
    exporter = OTLPSpanExporter(f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _trace_statements(database, _provider)


def _trace_statements(database: Database, provider: TracerProvider) -> None:
    """A span a statement: its text, never its values. The instrumentation that there is for SQLAlchemy
    refuses to work with 2.1."""
    from opentelemetry.trace import SpanKind, Status, StatusCode

    tracer = provider.get_tracer("paas.db")

    def began(_: Any, __: Any, statement: str, *rest: Any) -> None:
        context, verb = rest[1], statement.lstrip().partition(" ")[0].upper()
        context.paas_span = tracer.start_span(
            f"SQL {verb}",
            kind=SpanKind.CLIENT,
            attributes={"db.system": "postgresql", "db.statement": statement[:2000]},
        )

    def ended(_: Any, __: Any, ___: str, *rest: Any) -> None:
        rest[1].paas_span.end()

    def failed(failure: Any) -> None:
        span = getattr(failure.execution_context, "paas_span", None)
        if span is not None:
            span.set_status(Status(StatusCode.ERROR, type(failure.original_exception).__name__))
            span.end()

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", began)
    event.listen(engine, "after_cursor_execute", ended)
    event.listen(engine, "handle_error", failed)


def traced(application: ASGIApp) -> ASGIApp:
    """The application with a span around each request; itself when traces are off."""
    if _provider is None:
        return application
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    wrapped: Any = OpenTelemetryMiddleware(
        application, tracer_provider=_provider, exclude_spans=["receive", "send"]
    )
    asgi: ASGIApp = wrapped
    return asgi


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    if _provider is None:
        yield
        return
    with _provider.get_tracer("paas").start_as_current_span(name, attributes=attributes):
        yield


def close() -> None:
    """Send what is left."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None
