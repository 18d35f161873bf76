"""What registering a document would change, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.agent.spec import Document

_MISSING = object()


def changes(old: Document | None, new: Document, *, stopped: bool) -> list[str]:
    """``TaskGroups[web].Count: 1 → 3`` for each difference; empty when there is none."""
    if old is None:
        return [f"create job {new['ID']}"]
    words = [f"start job {new['ID']}, which is stopped"] if stopped else []
    before, after = dict(_leaves("", old)), dict(_leaves("", new))
    for path in dict.fromkeys((*before, *after)):
        was, will = before.get(path, _MISSING), after.get(path, _MISSING)
        if was != will and not path.endswith(".GetterSource"):
            words.append(f"{path}: {_word(was)} → {_word(will)}")
    return words


def _leaves(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(f"{path}.{key}" if path else key, value)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _leaves(f"{path}[{number}]", value)
    else:
        yield path, node


def _word(value: Any) -> str:
    return "nothing" if value is _MISSING else str(value)
