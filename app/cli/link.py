"""``.paas.toml``: which app a directory belongs to. It holds no secret, and may be committed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from app.cli.failures import ClientFailure

NAME = ".paas.toml"


class Link(Struct, forbid_unknown_fields=True):
    host: str = ""
    organization: str = ""
    project: str = ""
    app: str = ""
    environment: str = ""
    """Used where none is said; empty: the project's default environment."""


def find(folder: Path) -> Path | None:
    """The link of ``folder`` or of one above it, up to the top of its clone."""
    for each in (folder, *folder.parents):
        if (each / NAME).is_file():
            return each / NAME
        if (each / ".git").exists():
            return None
    return None


def load(folder: Path) -> Link:
    """An empty one where there is none. Raises ClientFailure."""
    file = find(folder)
    if file is None:
        return Link()
    try:
        return msgspec.convert(tomllib.loads(file.read_text()), Link)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ClientFailure(
            f"{file} cannot be used: {error}", hint="Repair it, or link anew: paas init"
        ) from error


def save(folder: Path, link: Link) -> Path:
    file = folder / NAME
    known = {name: getattr(link, name) for name in link.__struct_fields__}
    lines = [f'{name} = "{value}"\n' for name, value in known.items() if value]
    file.write_text("# Which app this directory is of: paas init\n" + "".join(lines))
    return file
