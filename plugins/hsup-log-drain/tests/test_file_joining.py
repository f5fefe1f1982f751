from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hsup.api import LogBatch
from hsup.formats.formatters import FORMATS, formatter
from hsup.testing import make_batch
from hsup_log_drain.file.joining import WHOLE, FileEnd, Text
from hsup_log_drain.lines import without_lines

FORM = formatter("plain", coloured=False)


def text(*batches: LogBatch, end: FileEnd = WHOLE) -> str:
    return Text(FORM, batches, end).data.decode()


def test_a_line_that_comes_in_pieces_is_whole_again() -> None:
    begun, ended = make_batch(b"a\nb", is_partial=True), make_batch(b"c\nd\n")
    assert text(begun, ended) == "web.1 | a\nweb.1 | bc\nweb.1 | d\n"


def test_what_comes_between_the_pieces_has_a_line_of_its_own() -> None:
    begun, ended = make_batch(b"a", is_partial=True), make_batch(b"c\n")
    other = make_batch(b"x\n", dyno="web.2")
    assert text(begun, other, ended) == "web.1 | a\nweb.2 | x\nweb.1 | c\n"


def test_a_line_goes_on_in_a_later_block() -> None:
    first = Text(FORM, [make_batch(b"a", is_partial=True)])
    _, end = first.written(len(first.data))
    assert text(make_batch(b"b\n"), end=end) == "b\n"
    assert text(make_batch(b"b\n", dyno="web.2"), end=end) == "\nweb.2 | b\n"


def test_the_last_line_of_a_dyno_gets_its_newline_in_each_format() -> None:
    for name in FORMATS:
        form = formatter(name, coloured=False)
        written = Text(form, [make_batch(b"a"), make_batch(b"b\n", dyno="web.2")]).data
        assert (written.count(b"\n"), written[-1:]) == (2, b"\n")


def test_another_line_begins_after_a_torn_one() -> None:
    end = FileEnd(torn=b"web.1 | ab")
    assert text(make_batch(b"x\n"), end=end) == "\nweb.1 | x\n"
    assert text(make_batch(b"abc\n"), end=end) == "\nweb.1 | abc\n"
    same = Text(FORM, [make_batch(b"abc\nd\n")], end._replace(rest=b"c\n"))
    assert same.data[same.start :] == b"c\nweb.1 | d\n"


def test_a_torn_line_is_completed_although_names_are_wider_now() -> None:
    form = formatter("plain", coloured=False)
    batches = [make_batch(b"hello\nworld\n"), make_batch(b"x\n", dyno="worker.10")]
    first = Text(form, batches)
    lines, end = first.written(10)
    second = Text(form, without_lines(batches, lines), end)
    written = first.data[:10] + second.data[second.start :]
    assert written == b"web.1 | hello\nweb.1     | world\nworker.10 | x\n"


def test_an_end_stays_as_it_is_when_nothing_is_written() -> None:
    ends = [
        FileEnd(torn=b"web.1 | ab"),
        FileEnd(torn=b"web.1 | ab", rest=b"c\n"),
        FileEnd(halfway=("app", "web.2", "stdout")),
    ]
    for end in ends:
        for lines in (b"abc\n", b"x\n"):
            batches = Text(FORM, [make_batch(lines)], end)
            assert batches.written(batches.start) == (0, end)


PIECES = [
    make_batch(lines, dyno=dyno, is_partial=not lines.endswith(b"\n"))
    for lines in (b"a\n", b"a\nb\n", b"\n", b"a\n\nccc\n", b"dd", b"e\nf")
    for dyno in ("web.1", "worker.10")
]


@given(
    batches=st.lists(st.sampled_from(PIECES), min_size=1, max_size=6),
    sizes=st.lists(st.integers(0, 60)),
    name=st.sampled_from(["heroku", "raw"]),
)
def test_a_file_is_the_same_however_often_writing_fails(
    batches: list[LogBatch], sizes: list[int], name: str
) -> None:
    form = formatter(name, coloured=False)
    file, end, left = b"", WHOLE, list(batches)
    for size in [*sizes, 1 << 20]:
        tried = Text(form, left, end)
        written = min(tried.start + size, len(tried.data))
        file += tried.data[tried.start : written]
        lines, end = tried.written(written)
        left = without_lines(left, lines)
    assert not left
    assert file == Text(form, batches).data
