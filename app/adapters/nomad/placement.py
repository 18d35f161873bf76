"""Nomad's placement failures and job differences, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

_UNITS = {"memory": ("MemoryMB", "MB of memory"), "cpu": ("CPU", "MHz of CPU")}
_HIDDEN = {"Templates", "GetterSource", "EmbeddedTmpl"}
"""Signed addresses, and templates that say nothing to a reader."""


def no_room(failed_groups: Json, job: Json) -> tuple[str, ...]:
    """Why copies find no place, each reason once, e.g. ``memory: no node has 64000 MB of memory free``."""
    resources = job["TaskGroups"][0]["Tasks"][0].get("Resources") or {}
    reasons: list[str] = []
    for metric in failed_groups.values():
        if not metric.get("NodesEvaluated"):
            reasons.append("nodes: no node is ready and eligible for this job")
        for dimension, count in (metric.get("DimensionExhausted") or {}).items():
            reasons.append(f"{_exhausted(dimension, resources)} ({_nodes(count)})")
        for constraint, count in (metric.get("ConstraintFiltered") or {}).items():
            reasons.append(f"constraint: {constraint} ({_nodes(count)})")
        if metric.get("QuotaExhausted"):
            reasons.append(f"quota: {', '.join(metric['QuotaExhausted'])}")
    return tuple(dict.fromkeys(reasons))


def _exhausted(dimension: str, resources: Json) -> str:
    name = dimension.split(":")[0].strip()
    if name not in _UNITS:
        return f"{name}: exhausted"
    field, unit = _UNITS[name]
    return f"{name}: no node has {resources.get(field, '?')} {unit} free"


def _nodes(count: int) -> str:
    return f"{count} node tried" if count == 1 else f"{count} nodes tried"


def changes(diff: Json | None) -> tuple[str, ...]:
    """A job diff as lines such as ``web / web-r13 / Resources / MemoryMB: 256 → 512``."""
    if not diff or diff.get("Type") == "None":
        return ()
    if diff["Type"] == "Added" and not diff.get("Objects") and not diff.get("TaskGroups"):
        return (f"job {diff.get('ID', '')} is new",)
    return tuple(_changes(diff, ()))


def _changes(diff: Json, path: tuple[str, ...]) -> Iterator[str]:
    for field in diff.get("Fields") or ():
        if field["Type"] != "None" and field["Name"] not in _HIDDEN:
            yield _line((*path, field["Name"]), field)
    for kind in ("Objects", "TaskGroups", "Tasks"):
        for part in diff.get(kind) or ():
            if part["Type"] == "None" or part["Name"] in _HIDDEN:
                continue
            inner = (*path, part["Name"])
            if kind == "Tasks" and part["Type"] in {"Added", "Deleted"}:
                yield f"{' / '.join(inner)}: {part['Type'].lower()}"
            if kind != "Tasks" or part["Type"] != "Deleted":
                yield from _changes(part, inner)


def _line(path: tuple[str, ...], field: Json) -> str:
    name = " / ".join(path)
    if field["Type"] == "Added":
        return f"{name}: {field['New']}"
    if field["Type"] == "Deleted":
        return f"{name}: {field['Old']} removed"
    return f"{name}: {field['Old']} → {field['New']}"
