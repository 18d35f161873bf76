"""How serious a line says that it is: from JSON's usual fields, or from patterns that many loggers write.

Pure. A line that says nothing has no level: that it came on stderr does not make it an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from app.ports.logs import LogLevel

_WORDS: Mapping[str, LogLevel] = {
    **dict.fromkeys(("trace", "verbose", "silly", "debug", "dbg", "d", "fine", "finer"), LogLevel.DEBUG),
    **dict.fromkeys(("info", "information", "informational", "inf", "notice", "log", "i"), LogLevel.INFO),
    **dict.fromkeys(("warn", "warning", "wrn", "w"), LogLevel.WARN),
    **dict.fromkeys(
        (
            "error", "err", "e", "severe", "fatal", "ftl", "f", "critical", "crit", "c", "alert",
            "emerg", "emergency", "panic", "dpanic",
        ),
        LogLevel.ERROR,
    ),
}  # fmt: skip

_PINO = ((50, LogLevel.ERROR), (40, LogLevel.WARN), (30, LogLevel.INFO), (0, LogLevel.DEBUG))
"""Also bunyan's: trace 10, debug 20, info 30, warn 40, error 50, fatal 60."""

_WORD = (
    r"(trace|verbose|debug|dbg|info|information|notice|warn(?:ing)?|wrn|err(?:or)?|severe|fatal|ftl"
    r"|crit(?:ical)?|alert|emerg(?:ency)?|panic)"
)
_UPPER = r"(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|SEVERE|FATAL|CRITICAL|ALERT|PANIC)"
_STAMP = r"[\[(]?\d[\dT:.,/+ \-]*Z?[\])]?"
"""A date or time in front, as most loggers write one."""

_LOGFMT = re.compile(
    r"(?:^|\s)(?:level|lvl|severity|loglevel)=\"?([A-Za-z]{1,13}|\d{1,2})\b", re.ASCII
)
_BRACKETED = re.compile(rf"[\[<(|]\s*{_WORD}\s*[\]>)|]", re.IGNORECASE | re.ASCII)
"""``[warn]``, ``| ERROR |``, ``2026-11-24 12:00:00 [12] [INFO] …`` (gunicorn), ``[12:00:00] (error)``."""
_LEADING = re.compile(
    rf"^(?:{_STAMP}\s+)*(?:[-–]\s+)?(?:(?i:{_WORD})\s*[:\]|(]|{_UPPER}(?:\s|$))", re.ASCII
)
"""``INFO:     Started`` (uvicorn), ``ERROR: …`` (Postgres, Python), ``12:00:01 WARN  …``, ``Error: …`` (node)."""
_DASHED = re.compile(r" - (DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL) - ")
"""Python's ``%(asctime)s - %(name)s - %(levelname)s - %(message)s``."""
_GLOG = re.compile(r"^([IWEFD])\d{4} \d\d:\d\d:\d\d")
"""``E1124 12:00:00.000000 …``: glog, klog."""
_SYSLOG = re.compile(r"^<(\d{1,3})>")
_EXCEPTION = re.compile(
    r"^(?:Traceback \(most recent call last\)|panic: |Uncaught |Unhandled |Segmentation fault"
    r"|(?:[A-Za-z_][\w.]*)?(?:Error|Exception)(?:: | \[|$)|thread '[^']*' panicked)",
    re.ASCII,
)
_LOOKED_AT = 256
"""So far into a line: a level further in is part of what the line is about."""


class _Fields(msgspec.Struct):
    """The names under which JSON loggers put it: pino, bunyan, zap, logrus, structlog, Google, ECS, .NET."""

    level: Any = None
    severity: Any = None
    lvl: Any = None
    loglevel: Any = None
    levelname: Any = None
    log_level: Any = msgspec.field(default=None, name="log.level")
    serilog: Any = msgspec.field(default=None, name="@l")
    nested: Any = msgspec.field(default=None, name="log")


_decode = msgspec.json.Decoder(_Fields).decode


def level_of(message: str) -> LogLevel | None:
    if message.startswith("{"):
        try:
            return _of_fields(_decode(message))
        except (msgspec.MsgspecError, RecursionError):
            pass
    return _of_text(message[:_LOOKED_AT])


def _of_fields(fields: _Fields) -> LogLevel | None:
    nested = fields.nested.get("level") if isinstance(fields.nested, dict) else None
    for value in (
        fields.level,
        fields.severity,
        fields.lvl,
        fields.loglevel,
        fields.levelname,
        fields.log_level,
        fields.serilog,
        nested,
    ):
        found = _of_value(value)
        if found is not None:
            return found
    return None


def _of_value(value: object) -> LogLevel | None:
    if isinstance(value, str):
        return (
            _of_number(int(value))
            if value.isascii() and value.isdigit() and len(value) < 4
            else _of_word(value)
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(value)
    return None


def _of_number(number: float) -> LogLevel | None:
    """Pino's tens, or syslog's severities from 0 (emergency) to 7 (debug)."""
    if number < 0 or number > 1000:
        return None
    if number < 8:
        return _of_severity(int(number))
    return next(level for least, level in _PINO if number >= least)


def _of_severity(severity: int) -> LogLevel:
    if severity <= 3:
        return LogLevel.ERROR
    if severity == 4:
        return LogLevel.WARN
    return LogLevel.INFO if severity <= 6 else LogLevel.DEBUG


def _of_word(word: str) -> LogLevel | None:
    return _WORDS.get(word.strip().lower())


def _of_text(text: str) -> LogLevel | None:
    if text.startswith("<") and (found := _SYSLOG.match(text)) and int(found[1]) < 192:
        return _of_severity(int(found[1]) % 8)
    for pattern in (_LEADING, _GLOG, _LOGFMT, _BRACKETED, _DASHED):
        found = pattern.search(text)
        if found is not None:
            return _of_value(found[1] or found[found.lastindex or 1])
    return LogLevel.ERROR if _EXCEPTION.match(text) else None
