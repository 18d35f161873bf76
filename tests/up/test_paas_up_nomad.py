"""``paas up --engine nomad``: Consul, Nomad, a registry and Traefik, started and stopped with the platform."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.engines.cluster import require_nomad
from tests.up.platform import Home, Running, temporary_home, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nomad,
    pytest.mark.docker,
    pytest.mark.timeout(600),
]


@pytest.fixture
def home() -> Iterator[Home]:
    require_nomad()
    with temporary_home("nomad") as home:
        yield home


def test_demo_answers_and_a_second_run_keeps_it(home: Home) -> None:
    first = home.up("--engine", "nomad", "--demo")
    first.until("The platform is up")
    status, body = home.demo()
    assert status == 200, first.output
    until(lambda: in_catalog(home, "paas-api") == [home.port("API")])
    assert home.get("NOMAD", "/v1/jobs?namespace=*")[0] == 403, "its ACLs are on"
    for name, title in (("api", "API"), ("worker", "Worker")):
        serves_while_it_comes_back(home, first, name, f"{title} is back")
    assert first.interrupt() == 0
    assert home.processes() == []

    began = time.monotonic()
    second = home.up("--engine", "nomad", "--demo")
    second.until("The demo app runs already")
    second.until("The platform is up")
    took = time.monotonic() - began

    assert home.demo() == (200, body)
    assert second.interrupt() == 0
    assert home.processes() == []
    assert took < 60


def serves_while_it_comes_back(home: Home, running: Running, name: str, told: str) -> None:
    before = home.recorded(name)
    before.kill()
    served = set()

    def is_back() -> bool:
        served.add(home.demo()[0])
        return told in running.output

    until(is_back)
    assert served == {200}
    assert home.recorded(name).pid != before.pid


def in_catalog(home: Home, service: str) -> list[int]:
    """The ports at which Consul has found the service healthy."""
    status, content = home.get("CONSUL", f"/v1/health/service/{service}?passing=1")
    assert status == 200, content
    return [entry["Service"]["Port"] for entry in json.loads(content)]
