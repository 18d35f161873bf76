"""Bytes to lines."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.logs.lines import LONGEST_LINE, Joiner, RawLine, text_of


def _split(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(borders)]


@given(st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=8))
def test_lines_do_not_depend_on_how_they_were_written(data: bytes, cuts: list[int]) -> None:
    joiner = Joiner()
    lines = [line for part in _split(data, cuts) for line in joiner.feed(part)]
    lines += joiner.flush()
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert [line.content for line in lines] == expected


@given(st.binary(max_size=100), st.integers(0, 100))
def test_a_joiner_goes_on_with_what_another_held(data: bytes, cut: int) -> None:
    first = Joiner()
    lines = first.feed(data[:cut])
    second = Joiner(first.held, first.cut)
    lines += second.feed(data[cut:]) + second.flush()
    whole = Joiner()
    assert lines == whole.feed(data) + whole.flush()


def test_a_line_that_is_too_long_is_cut_and_says_by_how_much() -> None:
    joiner = Joiner()
    for _ in range(10):
        assert joiner.feed(b"x" * LONGEST_LINE) == []
        assert len(joiner.held) == LONGEST_LINE
    assert joiner.feed(b"\nnext\n") == [
        RawLine(b"x" * LONGEST_LINE, 9 * LONGEST_LINE),
        RawLine(b"next"),
    ]


def test_what_a_terminal_or_page_must_not_get_is_left_out() -> None:
    assert (
        text_of(b"\x1b[31mred\x1b[0m \x00nul\x07 \x1b]0;title\x07caf\xc3\xa9\r") == "red nul café"
    )
    assert text_of(b"bad \xff\xfe utf-8") == "bad \ufffd\ufffd utf-8"
    assert text_of("\u202eevil\u2028".encode()) == "evil"
    assert text_of(b"a\tb") == "a\tb"
