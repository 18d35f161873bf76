"""Stop a platform from another terminal, or what is left of one whose ``paas up`` was killed."""

from __future__ import annotations

import psutil

from app.errors import ExternalFailure
from app.settings import Settings
from app.up import children, lock
from app.up.children import Files
from app.up.supervisor import Say

_SECONDS = 90


def down(settings: Settings, say: Say) -> None:
    """Returns when nothing of it runs. Raises ExternalFailure when it does not stop in time."""
    home = settings.home_path
    running = lock.holder(home)
    if running is not None and running.alive:
        say(f"Stopping `paas up` (process {running.pid})")
        _stop(running.pid)
        say("Stopped.")
        return
    left = children.leftovers(Files(home))
    for leftover in reversed(left):
        say(f"Stopping {leftover.name} (process {leftover.pid})")
        children.end_leftover(leftover, stop_apps=True)
    say("Stopped." if left else f"Nothing of {home} runs.")


def _stop(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(_SECONDS)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired as error:
        raise ExternalFailure(
            f"`paas up` (process {pid}) did not stop within {_SECONDS} s.",
            hint=f"Look at its terminal; kill it with `kill -9 {pid}` and run `paas down` again.",
        ) from error
