"""Named points at which a test may kill this process, so that recovery is tested and not hoped for.

Each multi-step operation calls ``checkpoint("noun.step")`` after a step has taken effect outside of
memory. In production that is a dictionary look-up. With ``PAAS_FAULT_KILL=noun.step`` in the settings
the process dies there at once, without cleaning up, as in a power cut.
"""

from __future__ import annotations

import os
import signal

_kill_at: str | None = None


def arm(step: str | None) -> None:
    """Die at ``step`` from now on; ``None`` disarms. Called once at start with the setting's value."""
    global _kill_at
    _kill_at = step or None


def checkpoint(step: str) -> None:
    """Die here if this step is armed."""
    if step == _kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
