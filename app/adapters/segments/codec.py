"""A record to bytes and back. The container and deployment stand in every line: a page from the middle of
a segment needs nothing that came before."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.ports.logs import LogLevel, LogLine, LogStream, Progress

_LEVELS: Sequence[LogLevel | None] = (None, *LogLevel)
_LEVEL_NUMBER = {level: number for number, level in enumerate(_LEVELS)}
_STREAMS = tuple(LogStream)
_STREAM_NUMBER = {stream: number for number, stream in enumerate(_STREAMS)}

BATCH_END = ord("{")


class _Line(msgspec.Struct, array_like=True, gc=False):
    micros: int
    stream: int
    level: int
    container_id: str
    deployment_id: str
    message: str
    cut: int = 0


class Mark(msgspec.Struct, omit_defaults=True, rename={"container_id": "c", "progress": "p"}):
    """The end of a batch. Without a container it only ends one; without progress it forgets."""

    container_id: str = ""
    progress: Progress | None = None


class _Time(msgspec.Struct, array_like=True):
    micros: int


_encoder = msgspec.json.Encoder()
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_time = msgspec.json.Decoder(_Time).decode
_decode_mark = msgspec.json.Decoder(Mark).decode


def encode_line(line: LogLine, micros: int, into: bytearray) -> None:
    record = _Line(
        micros,
        _STREAM_NUMBER[line.stream],
        _LEVEL_NUMBER[line.level],
        line.container_id,
        line.deployment_id,
        line.message,
        line.cut,
    )
    into += _encoder.encode(record)
    into += b"\n"


def encode_mark(mark: Mark, into: bytearray) -> None:
    into += _encoder.encode(mark)
    into += b"\n"


def decode_line(record: bytes, position: int) -> LogLine | None:
    """None for what is no line of an app's."""
    if not record.startswith(b"["):
        return None
    try:
        found = _decode_line(record)
        return LogLine(
            position,
            found.micros,
            _STREAMS[found.stream],
            _LEVELS[found.level],
            found.container_id,
            found.deployment_id,
            found.message,
            found.cut,
        )
    except (msgspec.MsgspecError, IndexError):
        return None


def decode_time(record: bytes) -> int | None:
    """When a line arrived; None for what is no line."""
    if not record.startswith(b"["):
        return None
    try:
        return _decode_time(record).micros
    except msgspec.MsgspecError:
        return None


def decode_mark(record: bytes) -> Mark | None:
    if not record.startswith(b"{"):
        return None
    try:
        return _decode_mark(record)
    except msgspec.MsgspecError:
        return None
