"""What BuildKit prints, read into a log and a reason. Pure."""

from __future__ import annotations

from app.adapters.docker.progress import Progress

_FAILED = """\
#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 120B done
#1 DONE 0.0s

#4 [1/3] FROM docker.io/paas-test/python:bookworm
#4 CACHED

#5 [2/3] RUN echo one
#5 0.312 one
#5 DONE 0.4s

#6 [3/3] RUN pip install nothing-like-it
#6 0.288 sh: 1: pip: not found
#6 ERROR: executor failed running [/bin/sh -c pip install nothing-like-it]: exit code: 127
------
 > [3/3] RUN pip install nothing-like-it:
#6 0.288 sh: 1: pip: not found
------
executor failed running [/bin/sh -c pip install nothing-like-it]: exit code: 127
"""


def _read(text: str) -> tuple[Progress, list[str]]:
    progress = Progress()
    shown = [line for raw in text.splitlines() if (line := progress.feed(raw)) is not None]
    return progress, shown


def test_log_shows_steps_and_what_they_print() -> None:
    _, shown = _read(_FAILED)
    assert shown[:5] == [
        "[1/3] FROM docker.io/paas-test/python:bookworm",
        "  (cached)",
        "[2/3] RUN echo one",
        "  one",
        "[3/3] RUN pip install nothing-like-it",
    ]
    assert not any("internal" in line or "transferring" in line for line in shown)


def test_failure_names_the_step_its_code_and_its_last_words() -> None:
    failed = _read(_FAILED)[0].failure()
    assert "`RUN pip install nothing-like-it`" in failed.message
    assert "exit code 127" in failed.message
    assert "pip: not found" in failed.message


def test_base_image_that_cannot_be_had_is_named() -> None:
    progress, _ = _read(
        "#3 [internal] load metadata for docker.io/library/nothing:1\n"
        "#3 ERROR: docker.io/library/nothing:1: not found\n"
        "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "
        "docker.io/library/nothing:1: not found\n"
    )
    failed = progress.failure()
    assert "The base image docker.io/library/nothing:1 could not be pulled" in failed.message
    assert "FROM" in failed.hint


def test_dockerfile_that_does_not_parse() -> None:
    progress, _ = _read(
        "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "
        "dockerfile parse error line 2: unknown instruction: NONSENSE\n"
    )
    assert "line 2: unknown instruction: NONSENSE" in progress.failure().message
