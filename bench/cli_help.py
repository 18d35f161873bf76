"""How long ``paas --help`` takes, from exec to exit: the console script, as a person types it.

make bench-cli-help
"""

from __future__ import annotations

import statistics
import subprocess
import sysconfig
import time
from pathlib import Path

from bench._figures import figure, keep

RUNS = 20
TARGET_MS = 150.0


def main() -> int:
    program = str(Path(sysconfig.get_path("scripts")) / "paas")
    samples = [_once(program) for _ in range(RUNS + 1)][1:]
    keep("cli_help", samples)
    return 0 if figure("cli_help.median", statistics.median(samples), TARGET_MS, "ms") else 1


def _once(program: str) -> float:
    began = time.perf_counter()
    subprocess.run([program, "--help"], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    raise SystemExit(main())
