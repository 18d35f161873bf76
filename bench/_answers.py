"""When the router first answers with a given version of an app: asked without a pause to speak of."""

from __future__ import annotations

import http.client
import threading
import time

_PAUSE_SECONDS = 0.005
_LIMIT_SECONDS = 120


class FirstAnswer:
    """Asks from its making on; ``at`` waits for the first page that holds ``text``."""

    def __init__(self, port: int, host: str, text: str) -> None:
        self._text = text
        self._host = host
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._at: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def at(self) -> float:
        """Unix time, in seconds. Raises TimeoutError."""
        self._thread.join(_LIMIT_SECONDS)
        self._done.set()
        if self._at is None:
            raise TimeoutError(f"{self._host} did not answer with {self._text!r}")
        return self._at

    def _ask(self) -> None:
        while not self._done.is_set():
            if self._text in self._page():
                self._at = time.time()
                break
            time.sleep(_PAUSE_SECONDS)
        self._connection.close()

    def _page(self) -> str:
        try:
            self._connection.request("GET", "/", headers={"Host": self._host})
            return self._connection.getresponse().read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return ""
