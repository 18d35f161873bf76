"""From ``git push`` to the first answer of the new version, against doing it all by hand (``_floor.py``).

On the embedded engine and on Nomad, a slug and (on Nomad) an image; the first deployment of an app and an
update of it. Both sides use the same machine, engine and router, take turns, and have their builds warm.
Each phase's share is its part of the medians' sum.

    make bench-push-to-live; or python -m bench.push_to_live nomad_image embedded_slug …
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pytest

from bench._answers import FirstAnswer
from bench._figures import figure, keep
from bench._floor import Floor
from bench._world import SAMPLE_OF, World, world
from tests.e2e.story import Checkout

ROUNDS = 7
TARGET_RATIO = 1.10
KINDS = {"embedded": ("slug",), "nomad": ("slug", "image")}
_REST_SECONDS = 4.0
"""Between two samples: the old version's copy drains for two seconds."""


@dataclass(frozen=True)
class Sample:
    seconds: float
    phases: dict[str, float]
    """Seconds each, together ``seconds``."""


Pair = dict[str, Sample]
"""``ours`` and ``floor``."""
Found = dict[str, list[Pair]]


def main() -> int:
    found: Found = {}
    holds = []
    for engine, kinds in KINDS.items():
        wanted = [kind for kind in kinds if not sys.argv[1:] or f"{engine}_{kind}" in sys.argv[1:]]
        for name, pairs in _on(engine, wanted):
            found[name] = pairs
            holds.append(_report(name, pairs))
            keep(
                "push_to_live", {name: [_plain(p) for p in pairs] for name, pairs in found.items()}
            )
    return 0 if holds and all(holds) else 1


def _plain(pair: Pair) -> dict[str, Any]:
    return {side: asdict(sample) for side, sample in pair.items()}


def _on(engine: str, kinds: list[str]) -> Iterator[tuple[str, list[Pair]]]:
    """Each figure as soon as it is measured. Nothing where the engine cannot be had, saying why."""
    if not kinds:
        return
    try:
        with world(engine) as there:
            for kind in kinds:
                there.warm_up(kind)
                rounds = [_round(there, kind, number) for number in range(ROUNDS + 1)][1:]
                for case in ("first", "update"):
                    yield f"{engine}_{kind}_{case}", [each[case] for each in rounds]
    except pytest.skip.Exception as missing:
        print(f"push_to_live.{engine} not measured: {missing}")


def _round(there: World, kind: str, number: int) -> dict[str, Pair]:
    """Each side deploys an app for the first time, then an update of it. Who begins changes each time."""
    app = f"{kind}-{number}"
    checkout = there.story.make_app(app, SAMPLE_OF[kind])
    floor = there.floor(kind, app, checkout)
    sides: dict[str, Callable[[str, int], Sample]] = {
        "ours": lambda text, version: _ours(there, app, checkout, text, version),
        "floor": lambda text, version: _by_hand(there, floor, text),
    }
    if number % 2:
        sides = dict(reversed(sides.items()))
    found: dict[str, Pair] = {}
    for version, case in enumerate(("first", "update"), 1):
        text = f"version {uuid.uuid4().hex}"
        _change(checkout, text)
        found[case] = {side: _rested(deploy, text, version) for side, deploy in sides.items()}
    floor.remove()
    there.delete_app(app)
    return found


def _rested(deploy: Callable[[str, int], Sample], text: str, version: int) -> Sample:
    time.sleep(_REST_SECONDS)
    return deploy(text, version)


def _change(checkout: Checkout, text: str) -> None:
    page = checkout.folder / "page.html"
    page.write_text(page.read_text() + f"<!-- {text} -->\n")
    checkout.commit(text)


def _ours(there: World, app: str, checkout: Checkout, text: str, version: int) -> Sample:
    host = f"acme.storefront-{app}-production.apps.localhost"
    answer = FirstAnswer(there.router, host, text)
    began = time.time()
    pushed = checkout.push("main")
    assert "Live at" in pushed.output, pushed.output
    return _sample(began, _ends(there.deployment(app, version)), answer.at())


def _by_hand(there: World, floor: Floor, text: str) -> Sample:
    answer = FirstAnswer(there.router, floor.hostname, text)
    began = time.time()
    floor.deploy()
    return _sample(began, floor.phases, answer.at())


def _ends(deployment: dict[str, Any]) -> dict[str, float]:
    """Unix times at which each phase ended, in their order."""
    ends = {"push": _unix(deployment["createdAt"])}
    for step in deployment["steps"]:
        if step["finishedAt"] is not None:
            ends[step["phase"]] = _unix(step["finishedAt"])
    return ends


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _sample(began: float, ends: dict[str, float], answered: float) -> Sample:
    """A phase that went on after the answer counts until then; ``answer`` is what no phase covers."""
    phases, at = {}, began
    for phase, end in {**ends, "answer": answered}.items():
        until = max(at, min(end, answered))
        phases[phase] = until - at
        at = until
    return Sample(answered - began, phases)


def _report(name: str, pairs: list[Pair]) -> bool:
    """One line a figure; whether the ratio holds."""
    medians = {}
    for side in ("ours", "floor"):
        samples = [pair[side] for pair in pairs]
        medians[side] = statistics.median(sample.seconds for sample in samples)
        print(f"push_to_live.{name}.{side} {medians[side]:.3f}s - {_shares(samples)}")
    return figure(f"push_to_live.{name}.ratio", medians["ours"] / medians["floor"], TARGET_RATIO)


def _shares(samples: list[Sample]) -> str:
    """``build 12% (0.180s)`` and so on."""
    names = list(dict.fromkeys(name for sample in samples for name in sample.phases))
    medians = {
        name: statistics.median(sample.phases.get(name, 0.0) for sample in samples)
        for name in names
    }
    total = sum(medians.values())
    return ", ".join(f"{name} {s / total:.0%} ({s:.3f}s)" for name, s in medians.items())


if __name__ == "__main__":
    raise SystemExit(main())
