"""How many whole lines the first bytes of frames have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from hsup.api import LogBatch
from hsup_log_drain.frames import MAX_BYTES, encode
from hsup_log_drain.syslog.header import header
from hsup_log_drain.syslog.taken import whole_lines

from .sending import TOKEN, batch

_head = header(TOKEN)
_text = st.lists(
    st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")) | st.just(b"b" * 12_000)
).map(b"\n".join)


@given(st.lists(_text, max_size=4), st.floats(0, 1))
def test_a_line_counts_once_each_of_its_bytes_is_there(texts: list[bytes], part: float) -> None:
    batches = [batch(text) for text in texts]
    ends = list(accumulate(_sizes(texts)))
    taken = int((ends[-1] if ends else 0) * part)
    assert whole_lines(batches, _head, taken) == sum(end <= taken for end in ends)


def _sizes(texts: Iterable[bytes]) -> Iterator[int]:
    """Yield how many bytes the frames of each line have."""
    for text in texts:
        lines = text.split(b"\n")
        for line in lines[:-1] if not lines[-1] else lines:
            yield len(encode([batch(line + b"\n")], _head).data)


def test_a_head_is_made_once_for_all_lines_of_a_batch() -> None:
    """What counts lines holds up all else: encoding each of them would take 50 ms."""
    seen = []

    def head(one: LogBatch) -> bytes:
        seen.append(one)
        return _head(one)

    batches = [batch(b"a\n" * 1000), batch(b"b\n" * 1000)]
    assert whole_lines(batches, head, len(encode(batches, _head).data) - 1) == 1999
    assert seen == batches


def test_a_line_that_was_cut_counts_once_its_last_piece_is_there() -> None:
    batches = [batch(b"a\n" + b"b" * (MAX_BYTES + 1) + b"\nc")]
    size = len(encode(batches, _head).data)
    last = len(encode([batch(b"c")], _head).data)
    assert whole_lines(batches, _head, size) == 3
    assert whole_lines(batches, _head, size - 1) == 2
    assert whole_lines(batches, _head, size - last) == 2
    assert whole_lines(batches, _head, size - last - 1) == 1
    assert whole_lines(batches, _head, 0) == 0
