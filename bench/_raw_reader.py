"""Reads raw files as they grow, and says when each line was there: what a live view is compared with.

python -m bench._raw_reader FILE …      until its standard input ends; then JSON, line → nanoseconds
"""

from __future__ import annotations

import json
import select
import sys
import time
from contextlib import ExitStack
from pathlib import Path

_SECONDS = 0.001


def main() -> None:
    seen: dict[str, int] = {}
    with ExitStack() as stack:
        files = [stack.enter_context(Path(name).open()) for name in sys.argv[1:]]
        for file in files:
            file.seek(0, 2)
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], _SECONDS)[0]:
            for file in files:
                while line := file.readline():
                    seen[line.strip()] = time.time_ns()
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
