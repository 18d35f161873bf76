"""All pages of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from app.cli.client.shared import Page

Node = TypeVar("Node", covariant=True)


class Connection(Protocol[Node]):
    @property
    def nodes(self) -> Sequence[Node]: ...
    @property
    def page_info(self) -> Page: ...


def every(page: Callable[[str | None], Connection[Node]]) -> Iterator[Node]:
    """``page`` gives the one after a cursor."""
    after: str | None = None
    while True:
        found = page(after)
        yield from found.nodes
        if not found.page_info.has_next_page:
            return
        after = found.page_info.end_cursor
