"""A push that deploys nothing, against the same push to a bare ``git http-backend``.

What the platform adds is who pushes, what that means, and the two transactions that make it certain.
Both get the same commits from the same clone, in turns; ``git push`` is timed from start to exit.

    make bench-skipped-push
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench._figures import figure, keep
from bench._http_backend import bare_repository, http_backend
from tests.e2e.story import Checkout, Story
from tests.up.platform import temporary_home

PUSHES = 40
WARM_UP = 5
TARGET_RATIO = 1.25


def main() -> int:
    with temporary_home() as home, tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        running = home.up()
        running.until("The platform is up")
        bare_repository(folder, "floor")
        with http_backend(folder) as address:
            ours = _app(Story(home, folder))
            floor = replace(ours, remote=f"{address}/floor.git")
            samples = [_both(ours, floor, number) for number in range(WARM_UP + PUSHES)][WARM_UP:]
        running.interrupt()
    keep("skipped_push", samples)
    medians = {name: statistics.median(sample[name] for sample in samples) for name in samples[0]}
    for name, seconds in medians.items():
        print(f"skipped_push.{name} {seconds * 1000:.1f}ms -")
    ratio = medians["ours"] / medians["floor"]
    return 0 if figure("skipped_push.ratio", ratio, TARGET_RATIO) else 1


def _app(story: Story) -> Checkout:
    """Its only environment holds ``main``."""
    story.make("/api/orgs/", slug="acme", displayName="Acme")
    story.make("/api/orgs/acme/projects/", slug="storefront", displayName="Storefront")
    return story.make_app("web", "static-site")


def _both(ours: Checkout, floor: Checkout, number: int) -> dict[str, float]:
    """Who goes first changes each time."""
    ours.commit(f"Commit {number}")
    turns = {"ours": ours, "floor": floor}
    if number % 2:
        turns = dict(reversed(turns.items()))
    return {name: _push(checkout, skipped=name == "ours") for name, checkout in turns.items()}


def _push(checkout: Checkout, *, skipped: bool) -> float:
    began = time.perf_counter()
    pushed = checkout.push("topic")
    seconds = time.perf_counter() - began
    assert pushed.code == 0, pushed.output
    assert ("[paas] skipped: " in pushed.output) == skipped, pushed.output
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
