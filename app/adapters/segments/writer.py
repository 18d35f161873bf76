"""The one writer of a log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.adapters.segments.codec import Mark, decode_mark, decode_time, encode_line, encode_mark
from app.adapters.segments.files import Segment, counted_size, segment_name, segments, units
from app.ports.logs import LogBusy, LogLine, LogStoreFailure, Progress

LOCK = "writer.lock"


class SegmentWriter:
    """The lock on its folder is dropped by the kernel with its process: one that is only paused keeps it."""

    def __init__(self, folder: Path, *, segment_bytes: int, segment_seconds: float) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._segment_micros = int(segment_seconds * 1_000_000)
        self._progress: dict[str, Progress] = {}
        self._last_micros = 0
        self._began = 0
        """When the segment's first line arrived; 0 while it has none."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(folder)
        try:
            self._open_last()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def progress(self) -> Mapping[str, Progress]:
        return self._progress

    def append(self, container_id: str, lines: Sequence[LogLine], progress: Progress) -> None:
        content = bytearray()
        for line in lines:
            self._last_micros = max(self._last_micros, line.micros)
            encode_line(line, self._last_micros, content)
        encode_mark(Mark(container_id, progress), content)
        self._write(content)
        self._progress[container_id] = progress
        if lines and not self._began:
            self._began = self._last_micros
        if self._size >= self._segment_bytes:
            self._begin_segment()

    def forget(self, container_id: str) -> None:
        if container_id in self._progress:
            content = bytearray()
            encode_mark(Mark(container_id), content)
            self._write(content)
            del self._progress[container_id]

    def tidy(self) -> None:
        now = time.time_ns() // 1000
        if self._began and now - self._began > self._segment_micros:
            self._begin_segment()

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)

    def _write(self, content: bytes | bytearray) -> None:
        """All of it or nothing."""
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise LogStoreFailure(
                f"Logs cannot be written to {self._folder}: {error.strerror}",
                hint="Free some of the disk, or lower PAAS_LOG_KEEP_MB.",
            ) from error
        self._size += len(content)

    def _open_last(self) -> None:
        """Go on after the last batch that is whole; what follows it was being written when somebody died."""
        found = segments(self._folder)
        while found:
            descriptor = os.open(found[-1].path, os.O_RDWR | os.O_APPEND)
            size = counted_size(descriptor)
            if size or len(found) == 1:
                if size < os.fstat(descriptor).st_size:
                    os.ftruncate(descriptor, size)
                self._take(found[-1], descriptor, size)
                return
            os.close(descriptor)
            found.pop().path.unlink()
        self._create(0)

    def _take(self, segment: Segment, descriptor: int, size: int) -> None:
        self._base, self._file, self._size = segment.base, descriptor, size
        for _, unit in units(descriptor, 0, size, backward=False):
            for record in unit.split(b"\n"):
                mark = decode_mark(record)
                if mark is None:
                    micros = decode_time(record)
                    if micros is not None:
                        self._began = self._began or micros
                        self._last_micros = max(self._last_micros, micros)
                elif mark.progress is not None:
                    self._progress[mark.container_id] = mark.progress
                else:
                    self._progress.pop(mark.container_id, None)

    def _begin_segment(self) -> None:
        previous = self._file
        self._create(self._base + self._size)
        os.close(previous)

    def _create(self, base: int) -> None:
        """It begins with all that its predecessors know, so that these may be pruned; and it is there with
        that or not at all."""
        content = bytearray()
        encode_mark(Mark(), content)
        for container_id, progress in self._progress.items():
            encode_mark(Mark(container_id, progress), content)
        path = self._folder / segment_name(base)
        scratch = path.with_suffix(".new")
        try:
            scratch.write_bytes(content)
            scratch.chmod(0o600)
            scratch.replace(path)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise LogStoreFailure(
                f"Logs cannot be written to {self._folder}: {error.strerror}",
                hint="Free some of the disk, or lower PAAS_LOG_KEEP_MB.",
            ) from error
        self._base, self._size, self._began = base, len(content), 0


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise LogBusy(f"The log in {folder} is being written by another process.") from error
    return descriptor
