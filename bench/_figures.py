"""How a benchmark says what it found: one line a figure, and the raw samples beside it as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def figure(name: str, value: float, target: float, unit: str = "") -> bool:
    """``name value target PASS|FAIL``; whether the value is at most the target."""
    holds = value <= target
    print(f"{name} {value:.3f}{unit} <={target:g}{unit} {'PASS' if holds else 'FAIL'}", flush=True)
    return holds


def at_least(name: str, value: float, target: float, unit: str = "") -> bool:
    """As ``figure``, where more is better."""
    holds = value >= target
    print(f"{name} {value:.3f}{unit} >={target:g}{unit} {'PASS' if holds else 'FAIL'}", flush=True)
    return holds


def keep(benchmark: str, samples: Any) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{benchmark}.json").write_text(json.dumps(samples, indent=1))
