"""One ``paas up`` a home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.up import lock
from app.up.errors import AlreadyUp

_HOLD = """
import sys, pathlib
from app.up import lock
with lock.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_held_home_refuses_a_second_and_names_the_first(tmp_path: Path) -> None:
    first = hold(tmp_path)
    try:
        with pytest.raises(AlreadyUp, match=f"process {first.pid}"), lock.held(tmp_path):
            pass
    finally:
        first.kill()
        first.wait()


def test_killed_holder_is_reported_and_does_not_block(tmp_path: Path) -> None:
    first = hold(tmp_path)
    first.send_signal(signal.SIGKILL)
    first.wait()

    with lock.held(tmp_path) as previous:
        assert previous is not None
        assert previous.pid == first.pid
        assert not previous.alive


def test_orderly_end_leaves_no_holder(tmp_path: Path) -> None:
    with lock.held(tmp_path):
        pass
    with lock.held(tmp_path) as previous:
        assert previous is None


def test_another_process_with_the_same_number_is_not_the_one_recorded() -> None:
    ours = psutil.Process().create_time()
    assert lock.is_alive(os.getpid(), ours)
    assert not lock.is_alive(os.getpid(), ours - 100)
