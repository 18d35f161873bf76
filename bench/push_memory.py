"""What a 400 MB push costs the server: the API's resident memory, against what it holds while it idles.

Idle is right after the start, before any push. git's own processes are children of the API; theirs is
printed beside it, without a target. Nothing compresses in what is pushed, so all of it travels.

    make bench-push-memory
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench._figures import figure, keep
from tests.e2e.story import Checkout, Story
from tests.up.platform import temporary_home

PUSH_MB = 400
FILES = 8
TARGET_MB = 30.0
_REST_SECONDS = 5
_IDLE_SAMPLES = 10
_EVERY_SECONDS = 0.02
_MB = 1024 * 1024


@dataclass
class Samples:
    """MB, one after the other."""

    idle: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    git: list[float] = field(default_factory=list)


def main() -> int:
    samples = Samples()
    with temporary_home() as home, tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        running = home.up()
        running.until("The platform is up")
        api = home.recorded("api")
        samples.idle = _at_rest(api)
        checkout = _large_app(Story(home, Path(scratch)))
        with _watched(api, samples):
            began = time.perf_counter()
            pushed = checkout.push("topic")
            seconds = time.perf_counter() - began
        assert pushed.code == 0, pushed.output
        assert "[paas] skipped: " in pushed.output, pushed.output
        running.interrupt()
    keep("push_memory", vars(samples))
    idle, peak = statistics.median(samples.idle), max(samples.server)
    print(f"push_memory.idle {idle:.1f}MB -")
    print(f"push_memory.git_children_peak {max(samples.git):.1f}MB -")
    print(f"push_memory.seconds {seconds:.1f}s -")
    return 0 if figure("push_memory.rise", peak - idle, TARGET_MB, "MB") else 1


def _at_rest(api: psutil.Process) -> list[float]:
    time.sleep(_REST_SECONDS)
    found = []
    for _ in range(_IDLE_SAMPLES):
        found.append(api.memory_info().rss / _MB)
        time.sleep(_REST_SECONDS / _IDLE_SAMPLES)
    return found


def _large_app(story: Story) -> Checkout:
    """Nothing is deployed from the branch that is pushed: building is the worker's memory."""
    story.make("/api/orgs/", slug="acme", displayName="Acme")
    story.make("/api/orgs/acme/projects/", slug="storefront", displayName="Storefront")
    checkout = story.make_app("web", "static-site")
    for number in range(FILES):
        (checkout.folder / f"{number}.bin").write_bytes(os.urandom(PUSH_MB // FILES * _MB))
    checkout.commit("Large files")
    return checkout


@contextmanager
def _watched(api: psutil.Process, samples: Samples) -> Iterator[None]:
    """Sampled all the while, and once more at the end."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(_EVERY_SECONDS):
            samples.server.append(api.memory_info().rss / _MB)
            samples.git.append(sum(_resident(child) for child in api.children(recursive=True)))
        samples.server.append(api.memory_info().rss / _MB)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _resident(process: psutil.Process) -> float:
    """0 for one that has just ended."""
    with suppress(psutil.NoSuchProcess):
        return float(process.memory_info().rss / _MB)
    return 0.0


if __name__ == "__main__":
    raise SystemExit(main())
