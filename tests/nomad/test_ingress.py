"""The Ingress port on real Consul and Traefik."""

from __future__ import annotations

import socket

import aiohttp
import msgspec
import pytest

from app.adapters.consul.ingress import ConsulIngress
from app.errors import ExternalFailure
from jobs.render import service_name_of
from tests.contract.world import SampleJob
from tests.engines.cluster import Cluster
from tests.engines.load import load_on
from tests.nomad.conditions import live

pytestmark = [pytest.mark.nomad, pytest.mark.slow]


def service_of(sample: SampleJob) -> str:
    return service_name_of(sample.organization, sample.ref.id)


async def test_the_router_says_which_release_it_serves(
    cluster: Cluster, sample: SampleJob, ingress: ConsulIngress
) -> None:
    await sample.submit(1)
    await sample.until(live(sample, 1))
    by_catalog = ConsulIngress(msgspec.structs.replace(cluster.settings, traefik_api=""))
    async with load_on(cluster.ingress, sample.hostname, clients=1):
        for asked in (ingress, by_catalog):
            assert await asked.serves(sample.hostname, sample.release_id(1))
            assert not await asked.serves(sample.hostname, sample.release_id(2))
            assert not await asked.serves("other.apps.test", sample.release_id(1))
    await by_catalog.close()


async def test_routes_are_the_copies_of_the_service(
    sample: SampleJob, ingress: ConsulIngress
) -> None:
    await sample.submit(1, replicas=2)
    seen = await sample.until(live(sample, 1, 2))
    routes = await ingress.routes(service_of(sample))
    assert {route.allocation_id: route.address for route in routes} == {
        copy.id: copy.address for copy in seen.allocations
    }
    assert all(route.healthy and route.registration_id and route.node for route in routes)
    assert service_of(sample) in await ingress.services()


async def test_what_a_lost_node_left_in_the_catalog_is_found_and_removed(
    cluster: Cluster, ingress: ConsulIngress
) -> None:
    await _register_leftover(cluster, "gone--suite-old-production")
    assert "gone--suite-old-production" in await ingress.services()
    await ingress.remove("gone--suite-old-production")
    await ingress.remove("gone--suite-old-production")
    assert "gone--suite-old-production" not in await ingress.services()


async def test_the_platforms_replicas_come_and_go_one_by_one(cluster: Cluster) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        first, second = ConsulIngress(cluster.settings), ConsulIngress(cluster.settings)
        await first.register_platform("paas-api", "127.0.0.1", one.getsockname()[1])
        await second.register_platform("paas-api", "127.0.0.1", two.getsockname()[1])
        assert len(await first.routes("paas-api")) == 2
        assert "paas-api" not in await first.services()
        await first.deregister_platform("paas-api")
        assert [route.address for route in await second.routes("paas-api")] == [
            f"127.0.0.1:{two.getsockname()[1]}"
        ]
        await second.deregister_platform("paas-api")
        assert await second.routes("paas-api") == []
        await first.close()
        await second.close()


async def test_no_consul_at_the_address_is_an_external_failure(cluster: Cluster) -> None:
    ingress = ConsulIngress(msgspec.structs.replace(cluster.settings, consul_addr="127.0.0.1:9"))
    with pytest.raises(ExternalFailure, match=r"127\.0\.0\.1:9 does not answer"):
        await ingress.services()
    await ingress.close()


async def _register_leftover(cluster: Cluster, name: str) -> None:
    body = {
        "Node": "lost-node",
        "Address": "10.255.0.1",
        "Service": {"ID": "_nomad-task-x", "Service": name, "Port": 1, "Tags": ["paas"]},
    }
    async with (
        aiohttp.ClientSession(
            headers={"X-Consul-Token": cluster.consul_management_token}
        ) as session,
        session.put(
            f"http://{cluster.settings.consul_addr}/v1/catalog/register", json=body
        ) as response,
    ):
        assert response.status == 200
