"""``python -m app.graphql.export``: write ``schema.graphql``.

With ``--check`` it fails when that file is not the code's schema, or when the code breaks clients of the
released schema in a way that ``docs/api-changes.md`` does not tell. ``--release`` makes the present schema
the released one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from graphql import BreakingChange, build_schema, find_breaking_changes

from app.graphql.schema import sdl

_ROOT = Path(__file__).resolve().parents[2]
COMMITTED = _ROOT / "schema.graphql"
RELEASED = _ROOT / "docs" / "released.graphql"
CHANGES = _ROOT / "docs" / "api-changes.md"


def breaking_changes(old: str, new: str) -> list[BreakingChange]:
    """What a client of ``old`` could trip over in ``new``; both as SDL."""
    return find_breaking_changes(build_schema(old), build_schema(new))


def unrecorded(old: str, new: str, record: str) -> list[str]:
    """The breaking changes that the record does not tell, each as it is to be told."""
    lines = [f"`{change.description}`" for change in breaking_changes(old, new)]
    return [line for line in lines if line not in record]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app.graphql.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and change nothing")
    parser.add_argument(
        "--release", action="store_true", help="what clients may rely on from now on"
    )
    options = parser.parse_args(arguments)
    if options.check:
        return _check()
    COMMITTED.write_text(sdl())
    if options.release:
        RELEASED.write_text(sdl())
    return 0


def _check() -> int:
    if COMMITTED.read_text() != sdl():
        sys.stderr.write("schema.graphql is not what the code says. Write it anew: make schema\n")
        return 1
    missing = unrecorded(RELEASED.read_text(), sdl(), CHANGES.read_text())
    for line in missing:
        sys.stderr.write(f"Breaks clients, and docs/api-changes.md does not tell: {line}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
