from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.api import LogEvent
from hsup.cli.defaults import LOG_FORMATS
from hsup.output.formats import Formatter, formatter
from hsup.output.logs import LogRouter
from hsup.testing import MemorySink, make_batch
from hsup.visible import visible

# 2026-01-02T15:04:05.123456789 UTC
MOMENT = 1_767_366_245_123_456_789


batch = partial(make_batch, time=MOMENT)


def printed(name: str, lines: bytes, **rest: Any) -> bytes:
    return formatter(name, coloured=False)(batch(lines, **rest))


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("heroku", "2026-01-02T15:04:05.123456+00:00 app[worker.123]: "),
        ("plain", "worker.123 | "),
        ("screen", "12:28:33 worker.123 | "),
        ("raw", ""),
        ("json", ""),
    ],
)
def test_the_columns_of_a_prefix_are_those_of_the_longest_name(name: str, prefix: str) -> None:
    form = formatter(name, coloured=True)
    for dyno in ("worker.123", "web.1"):
        form(batch(b"a\n", dyno=dyno))
    assert form.prefix_columns == len(prefix)


def test_heroku_prints_as_heroku_logs_does() -> None:
    assert printed("heroku", b"hello\n") == (
        b"2026-01-02T15:04:05.123456+00:00 app[web.1]: hello\n"
    )


def test_heroku_puts_time_and_dyno_before_every_line() -> None:
    assert printed("heroku", b"a\n\nb\n", source="hsup") == (
        b"2026-01-02T15:04:05.123456+00:00 hsup[web.1]: a\n"
        b"2026-01-02T15:04:05.123456+00:00 hsup[web.1]: \n"
        b"2026-01-02T15:04:05.123456+00:00 hsup[web.1]: b\n"
    )


def test_heroku_has_a_time_of_its_own_for_every_batch() -> None:
    form = formatter("heroku", coloured=False)
    times = [MOMENT, MOMENT + 1000, MOMENT + 10**9, MOMENT, 0]
    stamps = [form(batch(b"x\n", time=time)).split()[0] for time in times]
    assert stamps == [
        b"2026-01-02T15:04:05.123456+00:00",
        b"2026-01-02T15:04:05.123457+00:00",
        b"2026-01-02T15:04:06.123456+00:00",
        b"2026-01-02T15:04:05.123456+00:00",
        b"1970-01-01T00:00:00.000000+00:00",
    ]


def test_plain_prints_the_dyno_and_a_bar() -> None:
    assert printed("plain", b"a\nb\n") == b"web.1 | a\nweb.1 | b\n"


def test_plain_marks_what_hsup_says() -> None:
    assert printed("plain", b"up\n", source="hsup") == b"web.1 * up\n"


def test_plain_lines_up_from_the_longest_name_on() -> None:
    form = formatter("plain", coloured=False)
    assert form(batch(b"a\n")) == b"web.1 | a\n"
    assert form(batch(b"b\n", dyno="worker.12")) == b"worker.12 | b\n"
    assert form(batch(b"c\n")) == b"web.1     | c\n"


def test_json_prints_an_object_a_line() -> None:
    text = printed("json", b"a\nb\n", stream="stderr").decode()
    rest = {
        "time": "2026-01-02T15:04:05.123456+00:00",
        "source": "app",
        "dyno": "web.1",
        "stream": "stderr",
        "app": None,
        "release": None,
    }
    assert [json.loads(line) for line in text.splitlines()] == [
        rest | {"message": "a"},
        rest | {"message": "b"},
    ]


def test_raw_prints_the_bytes() -> None:
    assert printed("raw", b"\x00\xff\r\nhalf") == b"\x00\xff\r\nhalf"


def i_json(line: bytes) -> dict[str, Any]:
    """Parse a line as RFC 7493 has it: no duplicates, no lone surrogates, exact numbers."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    def refuse(number: str) -> None:
        raise AssertionError(number)

    found = json.loads(line.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
    assert isinstance(found, dict)
    require_i_json(found)
    return found


def require_i_json(value: object) -> None:
    match value:
        case str():
            for one in map(ord, value):
                assert not 0xD800 <= one <= 0xDFFF
                assert one & 0xFFFE != 0xFFFE
                assert not 0xFDD0 <= one <= 0xFDEF
        case dict():
            for inner in (*value, *value.values()):
                require_i_json(inner)
        case list():
            for inner in value:
                require_i_json(inner)
        case _:
            assert value is None or (isinstance(value, int) and abs(value) < 2**53)


def line_of(found: Mapping[str, str]) -> bytes:
    """Return what a dyno wrote, as the log reference has it."""
    return b64decode(found["base64"]) if "base64" in found else found["message"].encode()


ANY_TEXT = st.text(st.characters(codec="utf-8")).map(str.encode)
ODD = st.sampled_from(
    [b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbe", b"\xef\xb7\x90", b"\xff", b"\0", b'"\\']
)
ANY_LINES = st.lists(st.one_of(st.binary(), ANY_TEXT, ODD, st.just(b"\n"))).map(b"".join)


@given(lines=ANY_LINES, is_partial=st.booleans(), app=st.text(st.characters()))
def test_json_is_i_json_whatever_a_dyno_writes_and_loses_no_byte(
    lines: bytes, is_partial: bool, app: str
) -> None:
    is_partial = is_partial and not lines.endswith(b"\n")
    given_batch = batch(lines)._replace(is_partial=is_partial, app=app, release=2**60)
    text = formatter("json", coloured=False)(given_batch)
    assert text.isascii()
    assert text.endswith(b"\n")
    objects = [i_json(line) for line in text.splitlines()]
    assert b"\n".join(map(line_of, objects)) == lines.removesuffix(b"\n")
    assert [one.get("partial", False) for one in objects] == [
        *(False for _ in objects[1:]),
        is_partial,
    ]


def test_json_shows_a_byte_that_is_no_utf8_and_has_the_line_as_it_was() -> None:
    found = i_json(printed("json", b"caf\xe9\n"))
    assert (found["message"], found["base64"]) == ("caf\ufffd", "Y2Fm6Q==")


def test_json_has_what_a_line_of_hsups_own_tells() -> None:
    event = LogEvent("exited", status=137)
    told = batch(b"x\n", source="hsup")._replace(app="shop", release=42, event=event)
    found = i_json(formatter("json", coloured=False)(told))
    assert found == {
        "time": "2026-01-02T15:04:05.123456+00:00",
        "source": "hsup",
        "dyno": "web.1",
        "stream": "stdout",
        "app": "shop",
        "release": "v42",
        "event": "exited",
        "state": None,
        "status": 137,
        "code": None,
        "message": "x",
    }


ANY_FACT = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**52), 2**52) | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(
    fact=ANY_FACT,
    text=st.text(st.characters()),
    source=st.sampled_from(["app", "heroku", "hsup"]),
)
def test_json_is_i_json_whatever_a_line_of_hsups_own_tells(
    fact: object, text: str, source: str
) -> None:
    sink = MemorySink()
    LogRouter([sink]).say("api", text, LogEvent("error", facts={"fact": fact}), source)
    (line,) = formatter("json", coloured=False)(sink.batches[0]).splitlines()
    assert line.isascii()
    found = i_json(line)
    assert (found["source"], found["dyno"], found["message"]) == (source, "api", visible(text))
    assert type(found["fact"]) is type(fact)


def test_json_has_what_was_caused_as_fields() -> None:
    event = LogEvent("config_set", facts={"config_vars": ["A", "B"]})
    told = make_batch(b"Set A, B config vars\n", dyno="api", event=event)
    found = i_json(formatter("json", coloured=False)(told))
    assert (found["source"], found["dyno"]) == ("app", "api")
    assert (found["event"], found["config_vars"]) == ("config_set", ["A", "B"])


def test_a_line_of_the_platforms_about_a_dyno_is_no_line_of_the_dyno() -> None:
    caused = make_batch(b"Release v1 created\n", dyno="api", event=LogEvent("release_received"))
    assert formatter("plain", coloured=True)(caused) == b"\x1b[90mapi *\x1b[0m Release v1 created\n"


@pytest.mark.parametrize("name", ["heroku", "plain"])
@given(lines=st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), min_size=1))
def test_lines_follow_their_prefix_byte_by_byte(name: str, lines: list[bytes]) -> None:
    text = b"".join(line + b"\n" for line in lines)
    prefix = printed(name, b"\n").removesuffix(b"\n")
    assert printed(name, text) == b"".join(prefix + line + b"\n" for line in lines)


@pytest.mark.parametrize("name", ["heroku", "plain"])
def test_a_carriage_return_is_the_dynos_own(name: str) -> None:
    assert printed(name, b"a\r\nb\r\n").count(b"\r\n") == 2
    assert json.loads(printed("json", b"a\r\n"))["message"] == "a\r"


@pytest.mark.parametrize("name", ["heroku", "plain", "json"])
def test_a_half_line_is_ended_so_that_no_other_is_appended(name: str) -> None:
    assert printed(name, b"half") == printed(name, b"half\n")


def test_with_no_format_nothing_is_printed() -> None:
    assert printed("none", b"line\n") == b""


@pytest.mark.parametrize("name", [name for name in LOG_FORMATS if name != "none"])
@pytest.mark.parametrize("lines", [b"x" * 1000 + b"\n", b"\xff\xfe\n", b"\x1b[1mbold\n", b"\n"])
def test_every_choice_of_the_command_line_prints_any_line(name: str, lines: bytes) -> None:
    assert printed(name, lines).endswith(b"\n")


def colour(form: Formatter, dyno: str, source: str = "app") -> int:
    """Return the number of the colour in which a dyno's prefix is printed."""
    text = form(batch(b"x\n", dyno=dyno, source=source))
    start, end = text.index(b"\x1b[") + 2, text.index(b"m")
    return int(text[start:end])


@pytest.mark.parametrize("name", ["heroku", "plain"])
def test_every_dyno_has_a_colour_of_its_own_and_keeps_it(name: str) -> None:
    form = formatter(name, coloured=True)
    names = [f"web.{number}" for number in range(1, 11)]
    first = [colour(form, dyno) for dyno in names]
    assert len(set(first)) == len(names)
    assert [colour(form, dyno) for dyno in names] == first
    assert colour(form, "web.11") == first[0]


@pytest.mark.parametrize("name", ["heroku", "plain"])
def test_hsup_speaks_in_grey_and_uses_no_dynos_colour(name: str) -> None:
    form = formatter(name, coloured=True)
    assert colour(form, "web.1", source="hsup") == 90
    assert colour(form, "web.1") == 36


def test_colour_ends_before_the_line_and_starts_anew_on_each() -> None:
    assert formatter("plain", coloured=True)(batch(b"a\nb\n")) == (
        b"\x1b[36mweb.1 |\x1b[0m a\n\x1b[36mweb.1 |\x1b[0m b\n"
    )


@pytest.mark.parametrize("name", ["json", "raw"])
def test_what_programs_read_has_no_colour(name: str) -> None:
    assert formatter(name, coloured=True)(batch(b"a\n")) == printed(name, b"a\n")
