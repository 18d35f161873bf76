"""What the Docker engine answers for a log, without an engine."""

from __future__ import annotations

import pytest

from app.agent.docker import DockerFailure, _unframe


def _frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def test_both_streams_are_joined_as_they_came() -> None:
    assert _unframe(_frame(1, b"one\n") + _frame(2, b"two\n")) == b"one\ntwo\n"


def test_a_log_without_frames_is_taken_as_it_is() -> None:
    assert _unframe(b"plain\n") == b"plain\n"


def test_the_engines_own_error_is_no_line_of_the_app() -> None:
    with pytest.raises(DockerFailure, match="no such file"):
        _unframe(_frame(1, b"one\n") + _frame(3, b"Error grabbing logs: no such file\n"))
