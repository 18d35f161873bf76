"""Consul's Traefik tags as the document that Traefik's HTTP provider fetches; and the embedded Traefik."""

from __future__ import annotations

import json

from app.adapters.local import traefik
from app.agent.routing import Backend, render
from app.settings import Settings
from jobs.routing import routing_tags


def test_a_routed_service_becomes_a_router_and_its_servers() -> None:
    tags = ("paas", *routing_tags("acme--web", ["acme.web.apps.test"]))
    body = json.loads(render([Backend("acme--web", tags, ("127.0.0.1:20001", "127.0.0.1:20002"))]))
    (router,) = body["http"]["routers"].values()
    assert router["rule"] == "Host(`acme.web.apps.test`)"
    assert router["service"] == "acme--web"
    assert router["entrypoints"] == ["web"]
    balancer = body["http"]["services"]["acme--web"]["loadbalancer"]
    assert [server["url"] for server in balancer["servers"]] == [
        "http://127.0.0.1:20001",
        "http://127.0.0.1:20002",
    ]


def test_a_service_whose_copies_are_all_down_keeps_its_router() -> None:
    """Traefik then answers 503, where an unknown host is a 404."""
    tags = tuple(routing_tags("acme--web", ["acme.web.apps.test"]))
    body = json.loads(render([Backend("acme--web", tags, ())]))
    assert len(body["http"]["routers"]) == 1
    assert body["http"]["services"]["acme--web"]["loadbalancer"]["servers"] == []


def test_nothing_is_routed_without_being_enabled() -> None:
    body = json.loads(render([Backend("acme--web", ("paas",), ("127.0.0.1:20001",))]))
    assert "routers" not in body["http"]
    assert "services" not in body["http"]


def test_the_document_is_never_empty_and_always_the_same() -> None:
    """Traefik ignores an empty one, and would go on routing to the last app that was removed."""
    assert json.loads(render([]))["http"]
    first, second = (
        Backend("a", ("traefik.enable=true",), ()),
        Backend("b", ("traefik.enable=true",), ()),
    )
    assert render([first, second]) == render([second, first])


def test_nested_and_indexed_settings_are_kept() -> None:
    tags = (
        "traefik.enable=true",
        "traefik.http.routers.MyApp.rule=Host(`a.test`)",
        "traefik.http.routers.MyApp.middlewares=one, two",
        "traefik.http.routers.MyApp.tls.domains[0].main=a.test",
        "traefik.http.services.svc.loadbalancer.server.port=80",
        "traefik.http.services.svc.loadBalancer.passHostHeader=false",
    )
    http = json.loads(render([Backend("svc", tags, ("127.0.0.1:1",))]))["http"]
    router = http["routers"]["MyApp"]
    assert router["middlewares"] == ["one", "two"]
    assert router["tls"]["domains"] == [{"main": "a.test"}]
    assert http["services"]["svc"]["loadbalancer"] == {
        "passhostheader": "false",
        "servers": [{"url": "http://127.0.0.1:1"}],
    }


def test_traefiks_api_listens_on_loopback_wherever_apps_are_served() -> None:
    settings = Settings(ingress_host="0.0.0.0", ingress_port=80, ingress_api_port=7999)
    configuration = json.loads(traefik.static_configuration(settings))
    assert configuration["entryPoints"]["web"]["address"] == "0.0.0.0:80"
    assert configuration["entryPoints"]["traefik"]["address"] == "127.0.0.1:7999"
    assert "accessLog" not in configuration
