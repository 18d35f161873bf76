"""Which engine runs the apps: what PAAS_SCHEDULER says, and by default Nomad where it answers."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import up as command
from app.container import chosen_engine
from app.errors import ExternalFailure
from app.settings import Settings, load_settings

NOBODY = "http://127.0.0.1:9"


class _Leader(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v1/status/leader" else 404)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def nomad() -> Iterator[str]:
    """The address of a Nomad that says who leads, and no more."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Leader)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


async def test_without_an_address_it_is_the_embedded_engine(tmp_path: Path) -> None:
    assert await chosen_engine(Settings(home=str(tmp_path))) == "embedded"


async def test_a_nomad_that_answers_is_used(tmp_path: Path, nomad: str) -> None:
    fresh = tmp_path / "not" / "there" / "yet"
    assert await chosen_engine(Settings(home=str(fresh), nomad_addr=nomad)) == "nomad"


async def test_an_address_where_nobody_answers_is_passed_over(tmp_path: Path) -> None:
    assert await chosen_engine(Settings(home=str(tmp_path), nomad_addr=NOBODY)) == "embedded"


async def test_what_runs_on_nomad_waits_for_it(tmp_path: Path, nomad: str) -> None:
    await chosen_engine(Settings(home=str(tmp_path), nomad_addr=nomad))
    with pytest.raises(ExternalFailure) as refused:
        await chosen_engine(Settings(home=str(tmp_path), nomad_addr=NOBODY))
    assert "PAAS_SCHEDULER=embedded" in (refused.value.hint or "")


@pytest.mark.parametrize("engine", ["embedded", "nomad"])
async def test_what_is_configured_asks_nobody(tmp_path: Path, engine: str) -> None:
    told = {"PAAS_HOME": str(tmp_path), "PAAS_SCHEDULER": engine, "NOMAD_ADDR": NOBODY}
    assert await chosen_engine(load_settings(told)) == engine


def test_up_runs_on_the_nomad_that_answers(tmp_path: Path, nomad: str) -> None:
    assert command.configured_engine(Settings(home=str(tmp_path), nomad_addr=nomad)) == "nomad"
    assert command.configured_engine(Settings(home=str(tmp_path))) == "embedded"
