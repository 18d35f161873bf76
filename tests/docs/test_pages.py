"""Whoever types what the README and the pages say gets what they say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.docs.pages import blocks, missing_lines
from tests.docs.terminal import Terminal, terminal
from tests.up.platform import temporary_home

PAGES = [
    "docs/deploying.md",
    "docs/configuration.md",
    "docs/previews.md",
    "docs/webhooks.md",
    "docs/ci.md",
    "docs/api.md",
    "docs/signing-in.md",
    "docs/access.md",
    "docs/live.md",
    "docs/operating.md",
]


def test_lines_are_looked_for_in_their_order() -> None:
    output = "remote: -----> Building   \r\nremote: more\nremote: Live at http://x:1\n"
    assert missing_lines(["remote: -----> Building", "…Live at http://…"], output) == []
    assert missing_lines(["…Live at…", "…Building"], output) == ["…Building"]
    assert missing_lines(["Live at http://x:1"], output) == ["Live at http://x:1"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Has typed the README's story; what the pages say goes on from there."""
    if shutil.which("curl") is None:
        pytest.skip("the pages call the API with curl, which is not installed")
    with temporary_home() as home:
        running = home.up()
        running.until("The platform is up")
        with terminal(home, tmp_path_factory.mktemp("reader")) as opened:
            _, *story = blocks("README.md")  # the first holds what starts and tests the platform
            for block in story:
                opened.type(block)
            yield opened
        assert running.interrupt() == 0
        assert home.processes() == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_page_do_what_it_says(reader: Terminal, page: str) -> None:
    for block in blocks(page):
        reader.type(block)
