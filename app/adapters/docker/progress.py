"""BuildKit's plain progress, read into a log for people and the reason of a failure. Pure."""

from __future__ import annotations

import re
from collections import deque

from app.models.deployment import FailureCode
from app.ports.builder import BuildFailed

_VERTEX = re.compile(r"#(\d+) (.*)")
_STEP = re.compile(r"\[(?:[\w.-]+ )?(?:stage-\d+ )?\s*\d+/\d+\] (.+)")
_OUTPUT = re.compile(r"\d+\.\d+ ?(.*)")
_EXIT = re.compile(r"exit code: (\d+)")
_NO_BASE = re.compile(r"(?:load metadata for|resolve source metadata for) (\S+)")
_QUIET = re.compile(
    r"(DONE|sha256:|transferring|extracting|naming to|writing image|exporting|preparing)"
)
_TAIL_LINES = 4


class Progress:
    """Feed it each line; it answers with what belongs into the log."""

    def __init__(self) -> None:
        self._steps: dict[str, str] = {}
        self._bases: dict[str, str] = {}
        self._tails: dict[str, deque[str]] = {}
        self._failed: str | None = None
        self._last = ""

    def feed(self, line: str) -> str | None:
        if line.strip():
            self._last = line.strip()
        matched = _VERTEX.fullmatch(line.rstrip())
        if matched is None:
            return line if line.strip() and not line.startswith(("---", "#")) else None
        vertex, text = matched.groups()
        if base := _NO_BASE.search(text):
            self._bases[vertex] = base[1]
        if step := _STEP.fullmatch(text):
            first = self._steps.get(vertex) != step[1]
            self._steps[vertex] = step[1]
            return text if first else None
        if text.startswith("ERROR"):
            self._failed = vertex
            return text
        if output := _OUTPUT.fullmatch(text):
            self._tails.setdefault(vertex, deque(maxlen=_TAIL_LINES)).append(output[1])
            return f"  {output[1]}"
        if text == "CACHED":
            return "  (cached)"
        return None if _QUIET.match(text) or text.startswith("[internal]") else text

    def failure(self) -> BuildFailed:
        """Why it ended badly, in one sentence."""
        if self._failed is not None and self._failed in self._bases:
            name = self._bases[self._failed]
            return BuildFailed(
                FailureCode.BUILD_FAILED,
                f"The base image {name} could not be pulled: {self._last[-300:]}",
                "Check the name after FROM, and that the machine that builds can reach its registry.",
            )
        if self._failed is not None and self._failed in self._steps:
            return self._failed_in(self._failed)
        return BuildFailed(
            FailureCode.BUILD_FAILED,
            f"The Dockerfile could not be built: {self._last[-500:]}",
            "Correct the Dockerfile, commit and push again.",
        )

    def _failed_in(self, vertex: str) -> BuildFailed:
        code = _EXIT.search(self._last)
        ended = f" with exit code {code[1]}" if code else ""
        said = " ".join(line.strip() for line in self._tails.get(vertex, ()) if line.strip())
        said = said or self._last
        return BuildFailed(
            FailureCode.BUILD_FAILED,
            f"The step `{self._steps[vertex][:200]}` of the Dockerfile failed{ended}: {said[-500:]}",
            "The build log has the whole output. Correct the step, commit and push again.",
        )
