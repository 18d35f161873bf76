"""``paas up`` as a person meets it: real processes, a real push, real signals."""

from __future__ import annotations

import signal
import socket
import stat
import time
from collections.abc import Iterator

import pytest

from tests.up.platform import Home, Running, temporary_home, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture
def running(home: Home) -> Iterator[Running]:
    """The platform with its demo; up already for all but the first test of this module."""
    started = home.up("--demo")
    started.until("The platform is up")
    yield started
    if started.process.poll() is None:
        started.interrupt()


def test_demo_answers_and_a_second_run_is_quick_and_keeps_it(home: Home) -> None:
    first = home.up("--demo")
    first.until("Pushing samples/")
    first.until("The platform is up")
    status, body = home.demo()
    assert status == 200
    assert body
    token = home.folder / "admin.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert token.read_text().strip() not in first.output
    assert first.interrupt() == 0
    assert home.processes() == []

    began = time.monotonic()
    second = home.up("--demo")
    second.until("The demo app runs already")
    second.until("The platform is up")
    took = time.monotonic() - began

    assert home.demo() == (200, body)
    assert second.interrupt() == 0
    assert home.processes() == []
    assert took < 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_stops_everything(home: Home, running: Running, number: signal.Signals) -> None:
    assert len(home.processes()) > 5

    assert running.interrupt(number) == 0

    assert home.processes() == []
    assert "Stopped." in running.output


def test_signal_while_it_starts_stops_what_was_started(home: Home) -> None:
    starting = home.up("--demo")
    starting.until("Postgres")
    assert starting.interrupt() == 0
    assert home.processes() == []


@pytest.mark.parametrize("name", ["api", "worker", "agent"])
def test_killed_part_comes_back_while_the_app_serves(
    home: Home, running: Running, name: str
) -> None:
    before = home.recorded(name)

    before.kill()
    served = set()

    def is_back() -> bool:
        served.add(home.demo()[0])
        return "is back" in running.output

    until(is_back)
    assert served == {200}
    assert home.recorded(name).pid != before.pid
    until(lambda: home.get("API", "/readyz")[0] == 200)
    until(lambda: home.demo()[0] == 200)


def test_killed_up_is_cleaned_up_by_the_next_one(home: Home, running: Running) -> None:
    running.process.kill()
    running.process.wait()
    left = home.recorded("api")
    assert left.is_running()

    again = home.up("--demo")
    again.until("ended without stopping anything")
    again.until(f"api (process {left.pid})")
    again.until("The platform is up")

    assert home.demo()[0] == 200
    assert again.interrupt() == 0
    assert home.processes() == []


def test_down_stops_what_a_killed_up_left(home: Home, running: Running) -> None:
    running.process.kill()
    running.process.wait()

    done = home.paas("down")

    assert done.returncode == 0, done.stderr
    assert home.processes() == []


def test_second_up_on_a_home_refuses_and_disturbs_nothing(home: Home, running: Running) -> None:
    second = home.up()
    assert second.process.wait(timeout=60) == 1
    until(lambda: "already up" in second.output)
    assert f"process {running.process.pid}" in second.output
    assert home.demo()[0] == 200


def test_taken_port_names_its_holder_and_leaves_nothing(home: Home) -> None:
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", home.port("API")))
        squatter.listen()
        refused = home.up()
        assert refused.process.wait(timeout=60) == 1
    until(lambda: "PAAS_API_PORT=" in refused.output)
    assert f"Port {home.port('API')}, for the API, is held by" in refused.output
    assert home.processes() == []


def test_killed_database_comes_back_and_pushes_work_again(home: Home, running: Running) -> None:
    home.recorded("postgres").kill()

    running.until("Postgres is back")

    until(lambda: home.get("API", "/readyz")[0] == 200)
    assert home.demo()[0] == 200


def test_child_that_cannot_start_shows_its_log(home: Home) -> None:
    config = home.folder / "postgres" / "data" / "postgresql.conf"
    kept = config.read_text()
    config.write_text("max_connections = nonsense\n")
    try:
        failed = home.up()
        assert failed.process.wait(timeout=90) == 1
    finally:
        config.write_text(kept)
    until(lambda: "The whole log" in failed.output)
    assert "max_connections" in failed.output
    assert str(home.folder / "logs" / "postgres.log") in failed.output
    assert home.processes() == []
