"""What one worker knows of one reconciler's keys: which wait, until when, and which are being worked on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.reconcile.lease import HeldLease
from app.reconcile.reconciler import Reconciler

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0
_ERRORS_SHOWN = 10


@dataclass
class Running:
    task: asyncio.Task[None]
    """Takes the lease, works, and releases it."""
    work: asyncio.Task[None] | None = None
    """The reconciler's own part of it, which may be cancelled."""
    lease: HeldLease | None = None


@dataclass
class Lane:
    """Mutable, used by the driver's own event loop only. Times are of ``time.monotonic``."""

    reconciler: Reconciler
    waiting: dict[str, float] = field(default_factory=dict)
    """Key to when it may start."""
    running: dict[str, Running] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    next_poll: float = 0.0
    poll_failures: int = 0
    reconciled: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    dirty: bool = True
    """The status row is behind."""

    @property
    def kind(self) -> str:
        return self.reconciler.kind

    def found_pending(self, key: str) -> None:
        """A poll lists it; one that is being worked on, or waits out an error, is left alone."""
        if key not in self.running:
            self.waiting.setdefault(key, time.monotonic())

    def wake(self, key: str | None) -> None:
        """Start the key at once, or tell who works on it; None: look at everything."""
        if key is None:
            self.next_poll = 0.0
            for running in self.running.values():
                _tell(running)
        elif key in self.running:
            _tell(self.running[key])
        else:
            self.waiting[key] = time.monotonic()
        self.changed.set()

    def due(self) -> list[str]:
        """Keys that may start now, as many as there is room for, the longest-waiting first."""
        room = self.reconciler.concurrency - len(self.running)
        if room <= 0:
            return []
        now = time.monotonic()
        keys = sorted((at, key) for key, at in self.waiting.items() if at <= now)
        return [key for _, key in keys[:room]]

    def seconds_to_next(self) -> float:
        """Until a poll or a waiting key is due; a full lane waits for one of its keys to finish."""
        times = [self.next_poll]
        if len(self.running) < self.reconciler.concurrency:
            times += self.waiting.values()
        return max(0.0, min(times) - time.monotonic())

    def postpone(self, key: str, seconds: float) -> None:
        self.waiting[key] = time.monotonic() + seconds

    def succeeded(self, key: str) -> None:
        self.failures.pop(key, None)
        self.errors.pop(key, None)
        self.reconciled += 1
        self.dirty = True

    def failed(self, key: str, error: str) -> bool:
        """Wait twice as long as the last time. Whether this error is news for the key."""
        count = self.failures.get(key, 0)
        self.failures[key] = count + 1
        is_news = self.errors.get(key) != error
        self.errors[key] = error
        self.postpone(key, pause_after(count))
        self.dirty = True
        return is_news

    def polled(self, error: str | None) -> None:
        """Plan the next poll: a period away, or sooner and sooner again after a failure."""
        self.finished_at = datetime.now(UTC)
        self.dirty = True
        if error is None:
            self.poll_failures = 0
            self.errors.pop("", None)
            self.next_poll = time.monotonic() + self.reconciler.period
            return
        self.errors[""] = error
        pause = min(pause_after(self.poll_failures), self.reconciler.period)
        self.poll_failures += 1
        self.next_poll = time.monotonic() + pause

    def detail(self) -> dict[str, Any]:
        shown = sorted(self.errors.items())[:_ERRORS_SHOWN]
        return {
            "reconciled": self.reconciled,
            "running": len(self.running),
            "waiting": len(self.waiting),
            "failing": len(self.errors),
            "errors": dict(shown),
        }

    def last_error(self) -> str | None:
        return next(iter(self.errors.values()), None)


def pause_after(failures: int) -> float:
    """0.25 s, 0.5 s, 1 s … 30 s (after seven failures, 32 s in all)."""
    return float(min(_FIRST_PAUSE * 2 ** min(failures, 10), _LONGEST_PAUSE))


def _tell(running: Running) -> None:
    if running.lease is not None:
        running.lease.woken.set()
