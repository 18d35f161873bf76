"""Consul-style Traefik tags → the dynamic configuration that Traefik's HTTP provider fetches. Pure.

The same tags that Traefik reads from Consul in front of Nomad are read here, so that the rendered job
need not know which engine it is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from app.ports.scheduler import SchedulerRejected

_HOST_MATCHER = re.compile(r"\bHost\(([^)]*)\)")
_ARGUMENT = re.compile(r"\s*`([^`]*)`\s*")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LISTS = {"entrypoints", "middlewares", "domains", "sans", "methods"}
_INDEXED = re.compile(r"(.+)\[(\d+)\]")


@dataclass(frozen=True)
class Backend:
    """One service of one job, and where its routable copies listen (``127.0.0.1:20001``)."""

    service: str
    tags: tuple[str, ...]
    addresses: tuple[str, ...]


def validate_tags(tags: Sequence[str]) -> None:
    """Raises SchedulerRejected on a tag that is no setting, or a rule with a malformed hostname.

    A backtick in a name would end ``Host()`` and let one app write another's rule.
    """
    for tag in tags:
        if not tag.startswith("traefik.") or tag == "traefik.enable=true":
            continue
        key, separator, value = tag.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z0-9._\[\]-]+", key):
            raise SchedulerRejected(f"{tag[:120]!r} is not a Traefik setting.")
        if key.lower().endswith(".rule"):
            _validate_rule(value)


def _validate_rule(rule: str) -> None:
    matchers = _HOST_MATCHER.findall(rule)
    if "Host" in rule and len(matchers) != rule.count("Host"):
        raise SchedulerRejected(f"The rule {rule[:120]!r} has a malformed Host().")
    for arguments in matchers:
        for argument in arguments.split(","):
            name = _ARGUMENT.fullmatch(argument)
            if not name or len(name[1]) > 253 or not _HOSTNAME.fullmatch(name[1]):
                raise SchedulerRejected(f"The rule {rule[:120]!r} has a malformed hostname.")


def render(backends: Iterable[Backend]) -> bytes:
    """The body for Traefik, same input same bytes.

    It always holds one middleware that nothing uses: Traefik skips an empty configuration, and would
    keep the last app's routes after that app is gone.
    """
    http: dict[str, Any] = {"middlewares": {"paas-embedded": {"compress": {}}}}
    for backend in sorted(backends, key=lambda backend: backend.service):
        if "traefik.enable=true" in backend.tags:
            _add(http, backend)
    return msgspec.json.encode({"http": http}, order="sorted")


def _add(http: dict[str, Any], backend: Backend) -> None:
    mine: dict[str, Any] = {}
    for tag in backend.tags:
        key, separator, value = tag.partition("=")
        path = key.split(".")
        if separator and path[:2] == ["traefik", "http"]:
            _put(mine, path[2:], value)
    servers = [{"url": f"http://{address}"} for address in backend.addresses]
    service = mine.setdefault("services", {}).setdefault(backend.service, {})
    balancer = service.setdefault("loadbalancer", {})
    balancer.pop("server", None)
    balancer["servers"] = servers
    for router in mine.get("routers", {}).values():
        router.setdefault("service", backend.service)
    for kind, entries in mine.items():
        http.setdefault(kind, {}).update(entries)


def _put(tree: dict[str, Any], path: Sequence[str], value: str) -> None:
    """Set ``a.b[0].c = value`` in nested mappings and lists. Setting names are case-insensitive;
    the names of routers, services and middlewares (the second part) are kept."""
    node: Any = tree
    names = [part if depth == 1 else part.lower() for depth, part in enumerate(path)]
    for name in names[:-1]:
        node = _child(node, name)
    last = names[-1]
    node[last] = [item.strip() for item in value.split(",")] if last in _LISTS else value


def _child(node: Any, name: str) -> Any:
    indexed = _INDEXED.fullmatch(name)
    if indexed is None:
        return node.setdefault(name, {})
    items: list[Any] = node.setdefault(indexed[1], [])
    while len(items) <= int(indexed[2]):
        items.append({})
    return items[int(indexed[2])]
