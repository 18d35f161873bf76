"""``python -m app.graphql.export``: write ``schema.graphql``, or with ``--check`` compare and say what breaks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from graphql import BreakingChange, build_schema, find_breaking_changes

from app.graphql.schema import sdl

COMMITTED = Path(__file__).resolve().parents[2] / "schema.graphql"


def breaking_changes(old: str, new: str) -> list[BreakingChange]:
    """What a client of ``old`` could trip over in ``new``; both as SDL."""
    return find_breaking_changes(build_schema(old), build_schema(new))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app.graphql.export", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="fail when the committed schema is not the code's"
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="fail when the code breaks clients of FILE"
    )
    options = parser.parse_args(arguments)
    if options.against:
        return _report_breaking(options.against)
    if options.check:
        return _check()
    COMMITTED.write_text(sdl())
    return 0


def _check() -> int:
    if COMMITTED.read_text() == sdl():
        return 0
    sys.stderr.write(
        "schema.graphql is not what the code says."
        " Write it anew with: python -m app.graphql.export\n"
    )
    return 1


def _report_breaking(against: Path) -> int:
    changes = breaking_changes(against.read_text(), sdl())
    for change in changes:
        sys.stderr.write(f"{change.type.name}: {change.description}\n")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
