"""The Consul tags from which Traefik's Consul Catalog provider makes routers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

ENTRY_POINT = "web"

_HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z"
)


def check_hostname(hostname: str) -> str:
    """The same hostname. Raises ValueError: a backtick would end ``Host()`` and could claim any route."""
    if not _HOSTNAME.match(hostname):
        raise ValueError(f"not a hostname: {hostname!r}")
    return hostname


def routing_tags(service: str, hostnames: Sequence[str]) -> list[str]:
    """Tags for one router over all hostnames, and its servers; none when there is no hostname.

    The servers are named explicitly: the name that Traefik derives from a service folds ``--`` into ``-``,
    by which the copies of organization ``a`` with project ``b-c`` would join those of ``a-b`` with ``c``.

    During a rollout copies of two releases are registered. Traefik drops a router that two copies
    describe differently, so its name holds a digest of its rule: when the hostnames change, both routers
    live for that moment and lead to the same servers.
    """
    if not hostnames:
        return []
    rule = " || ".join(f"Host(`{check_hostname(name)}`)" for name in hostnames)
    digest = hashlib.sha256(rule.encode()).hexdigest()[:8]
    router = f"traefik.http.routers.{service}-{digest}"
    return [
        "traefik.enable=true",
        f"{router}.rule={rule}",
        f"{router}.entrypoints={ENTRY_POINT}",
        f"{router}.service={service}",
        f"traefik.http.services.{service}.loadbalancer.passhostheader=true",
    ]
