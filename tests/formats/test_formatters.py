"""What is printed in each format is tested by tests/output/test_formats.py."""

from __future__ import annotations

from hsup.cli.defaults import LOG_FORMATS
from hsup.formats.formatters import FORMATS, RawWithNotices, formatter
from hsup.testing import make_batch


def test_the_formats_of_lines_with_a_meaning_are_public() -> None:
    assert {*FORMATS} == {*LOG_FORMATS} - {"screen", "none"}


def test_a_public_format_is_without_colours_unless_they_are_wanted() -> None:
    batch = make_batch(b"a\n")
    assert formatter("plain", coloured=False)(batch) == b"web.1 | a\n"
    assert b"\x1b[" in formatter("plain", coloured=True)(batch)


def test_raw_lines_of_others_than_dynos_have_a_prefix() -> None:
    form = RawWithNotices()
    assert form(make_batch(b"a\n")) == b"a\n"
    for source in ("hsup", "heroku"):
        prefix = f"1970-01-01T00:00:00.000000+00:00 {source}[web.1]: "
        assert form(make_batch(b"a\nb\n", source=source)).decode() == f"{prefix}a\n{prefix}b\n"
