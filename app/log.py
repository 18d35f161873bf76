"""Logging of the platform's processes: one line an event, on standard error."""

from __future__ import annotations

import logging

from app.settings import Settings

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(settings: Settings) -> None:
    """Once, at the start of a process. Libraries speak from WARNING on."""
    logging.basicConfig(level=logging.WARNING, format=_FORMAT, force=True)
    for ours in ("app", "jobs"):
        logging.getLogger(ours).setLevel(settings.log_level.upper())
