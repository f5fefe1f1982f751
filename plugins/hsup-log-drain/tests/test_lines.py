from __future__ import annotations

from hsup.testing import make_batch
from hsup_log_drain.lines import Progress, line_count, split_lines, without_lines


def test_lines_are_counted_as_hsup_counts_them() -> None:
    assert [line_count(lines) for lines in (b"a", b"a\n", b"a\nb", b"\n\n")] == [1, 1, 2, 2]
    assert [split_lines(lines) for lines in (b"a", b"a\nb\n", b"\n", b"")] == [
        [b"a"],
        [b"a", b"b"],
        [b""],
        [],
    ]
    left = without_lines([make_batch(b"a\nb\nc\n"), make_batch(b"d\n")], 2)
    assert [batch.lines for batch in left] == [b"c\n", b"d\n"]


def test_only_the_last_lines_of_a_block_are_missing_when_it_is_tried_again() -> None:
    progress = Progress()
    block = [make_batch(b"a\nb\nc\n"), make_batch(b"d\n")]
    assert progress.begin("1", block) == 0
    progress.add(3)
    assert progress.begin("1", block) == 3
    assert progress.begin("1", block[1:]) == 0
    progress.add(1)
    assert progress.begin("1", block) == 4
    assert progress.begin("2", block) == 0
