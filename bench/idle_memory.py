"""What the control plane holds while nothing happens: API and worker, on the embedded engine.

Resident memory of both, added: pages that they share are counted twice, so the machine pays less (the
proportional sum is printed beside it). Once after the start, and once after a push went through and
everything is at rest again. Postgres, Traefik and the agent are not counted.

    make bench-idle-memory
"""

from __future__ import annotations

import statistics
import time

import psutil

from bench._figures import figure, keep
from tests.up.platform import Home, temporary_home

TARGET_MB = 150.0
SAMPLES = 10
_REST_SECONDS = 5
_MB = 1024 * 1024


def main() -> int:
    samples: dict[str, list[tuple[float, float]]] = {}
    with temporary_home() as home:
        for name, arguments in (("started", ()), ("after_push", ("--demo",))):
            running = home.up(*arguments)
            running.until("The platform is up")
            samples[name] = _at_rest(home)
            running.interrupt()
    keep("idle_memory", samples)
    holds = True
    for name, values in samples.items():
        resident, proportional = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"idle_memory.{name}_proportional {proportional:.1f}MB -")
        holds = figure(f"idle_memory.{name}", resident, TARGET_MB, "MB") and holds
    return 0 if holds else 1


def _at_rest(home: Home) -> list[tuple[float, float]]:
    """(resident, proportional) MB of both together, a sample a second."""
    time.sleep(_REST_SECONDS)
    found = []
    for _ in range(SAMPLES):
        parts = [home.recorded(name).memory_full_info() for name in ("api", "worker")]
        found.append((sum(p.rss for p in parts) / _MB, sum(_proportional(p) for p in parts) / _MB))
        time.sleep(1)
    return found


def _proportional(info: psutil._ntuples.pfullmem) -> float:
    return float(getattr(info, "pss", info.rss))


if __name__ == "__main__":
    raise SystemExit(main())
