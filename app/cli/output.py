"""What a command prints: for people on a terminal, plain in a pipe, JSON where asked.

Results go to stdout, progress and remarks to stderr. In a pipe a table is its rows, with tabs between
the columns; rich is imported only for a terminal.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

Command = TypeVar("Command", bound=Callable[..., Any])

STEP, DETAIL, PROBLEM = "-----> ", "       ", " !     "

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ESCAPE = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def wait_option(function: Command) -> Command:
    """``--wait/--no-wait`` for whatever queues a deployment."""
    option = click.option(
        "--wait/--no-wait",
        default=True,
        help="Show it until it has ended (the default), or queue it.",
    )
    return option(function)


def print_json(value: Any) -> None:
    """Of generated structs, or of what they hold: field names are the schema's."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_json_line(value: Any) -> None:
    """One of a list whose end may be far off."""
    click.echo(msgspec.json.encode(value).decode())


def say(line: str) -> None:
    """A step of what is going on, or a remark."""
    click.echo(clean(line), err=True)


def clean(text: str) -> str:
    """Without what a terminal would obey."""
    return _CONTROL.sub("", _ESCAPE.sub("", text.replace("\n", " ")))


def log_text(text: str) -> str:
    """A line of an app's log: on a terminal it may colour, and nothing else; in a pipe it is as it was."""
    if not sys.stdout.isatty():
        return text
    text = text.replace("\x00", "")
    kept = _COLOUR.findall(text)
    cleaned = "\x00".join(map(clean, _COLOUR.sub("\x00", text).split("\x00")))
    if os.environ.get("NO_COLOR"):
        return cleaned.replace("\x00", "")
    for colour in kept:
        cleaned = cleaned.replace("\x00", colour, 1)
    return cleaned + ("\x1b[0m" if kept else "")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    cells = [[clean(text_of(value)) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            click.echo("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in cells:
        drawn.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console().print(drawn)


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """One object: a line for each thing known of it."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        text = clean(text_of(value))
        if sys.stdout.isatty():
            click.echo(f"{name:<{width}}  {_coloured(text)}")
        else:
            click.echo(f"{name}\t{text}")


def text_of(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return _ago(value) if sys.stdout.isatty() else value.isoformat()
    return str(value)


def _ago(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            amount = f"{abs(seconds) / size:.0f} {unit}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return "just now"


_STYLES = {
    "RUNNING": "green",
    "SUCCEEDED": "green",
    "DEPLOYING": "yellow",
    "QUEUED": "yellow",
    "BUILDING": "yellow",
    "RELEASING": "yellow",
    "DEGRADED": "yellow",
    "FAILED": "red",
    "CRASHED": "red",
}


def _coloured(text: str) -> str:
    style = _STYLES.get(text)
    return click.style(text, fg=style) if style and not os.environ.get("NO_COLOR") else text


@contextmanager
def spinner(text: str) -> Iterator[Callable[[str], None]]:
    """Turns on a terminal, and says there what is being waited for; elsewhere nothing is shown."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(clean(text))) as status:
        yield lambda line: status.update(escape(clean(line)))
