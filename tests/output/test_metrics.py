from __future__ import annotations

import json

from hsup.api import LoadAverages, LogBatch, Measurement
from hsup.output.formats import formatter
from hsup.output.lines import Line
from hsup.output.metrics import load_line, memory_line

MIB = 1 << 20
IDENTITY = "heroku.2808254.d97d0ea7-cf3d-411b-b453-d2943a50b456"
LOAD = LoadAverages(2.46, 1.061, 0.9949)
MEASURED = Measurement(
    memory_rss=int(21.22 * MIB) + 1,
    memory_cache=0,
    memory_swap=0,
    memory_pgpgin=348836,
    memory_pgpgout=343403,
    memory_quota=512 * MIB,
    cpu_seconds=1.5,
    runnable=3,
)


def printed(form: str, line: Line | None) -> str:
    assert line is not None
    text = f"{line.text}\n".encode()
    batch = LogBatch(0, "heroku", "web.1", "stdout", text, event=line.event)
    return formatter(form, coloured=False)(batch).decode()


def test_the_load_is_written_as_the_platform_writes_it() -> None:
    assert load_line("web.1", IDENTITY, LOAD).text == (
        f"source=web.1 dyno={IDENTITY} "
        "sample#load_avg_1m=2.46 sample#load_avg_5m=1.06 sample#load_avg_15m=0.99"
    )


def test_the_memory_is_written_as_the_platform_writes_it() -> None:
    line = memory_line("web.1", IDENTITY, MEASURED)
    assert line is not None
    assert line.text == (
        f"source=web.1 dyno={IDENTITY} sample#memory_total=21.22MB sample#memory_rss=21.22MB "
        "sample#memory_cache=0.00MB sample#memory_swap=0.00MB sample#memory_pgpgin=348836pages "
        "sample#memory_pgpgout=343403pages sample#memory_quota=512.00MB"
    )


def test_the_total_is_that_of_memory_cache_and_swap() -> None:
    measured = Measurement(memory_rss=MIB, memory_cache=2 * MIB, memory_swap=4 * MIB)
    line = memory_line("web.1", IDENTITY, measured)
    assert line is not None
    assert "sample#memory_total=7.00MB " in line.text


def test_what_is_not_known_is_left_out() -> None:
    line = memory_line("web.1", IDENTITY, Measurement(memory_rss=MIB))
    assert line is not None
    samples = "sample#memory_total=1.00MB sample#memory_rss=1.00MB"
    assert line.text == f"source=web.1 dyno={IDENTITY} {samples}"


def test_a_quota_alone_is_no_line() -> None:
    assert memory_line("web.1", IDENTITY, Measurement(memory_quota=MIB, runnable=1)) is None


def test_in_heroku_the_platform_says_it() -> None:
    line = load_line("web.1", IDENTITY, LOAD)
    assert printed("heroku", line).endswith(f"+00:00 heroku[web.1]: {line.text}\n")


def test_in_plain_it_is_no_line_of_the_dyno() -> None:
    line = load_line("web.1", IDENTITY, LOAD)
    assert printed("plain", line) == f"web.1 * {line.text}\n"


def test_on_the_screen_it_is_printed_as_it_is_beneath_the_name_of_the_dyno() -> None:
    line = load_line("web.1", IDENTITY, LOAD)
    assert printed("screen", line).partition(" ")[2] == f"web.1 | {line.text}\n"


def test_a_line_of_metrics_ends_no_sequence_that_a_dyno_has_begun() -> None:
    form = formatter("screen", coloured=False)
    line = load_line("web.1", IDENTITY, LOAD)
    begun = LogBatch(0, "app", "web.1", "stdout", b"red: \x1b[3", is_partial=True)
    form(begun)
    said = LogBatch(0, "heroku", "web.1", "stdout", f"{line.text}\n".encode(), event=line.event)
    assert form(said).partition(b"| ")[2] == f"{line.text}\n".encode()
    rest = form(begun._replace(lines=b"1mapple\n", is_partial=False), goes_on=True)
    assert rest == b"\x1b[31mapple\x1b[0m\n"


def test_in_json_the_figures_are_fields() -> None:
    told = json.loads(printed("json", load_line("web.1", IDENTITY, LOAD)))
    assert (told["source"], told["event"], told["state"]) == ("heroku", "metrics", None)
    assert told["metrics"] == LOAD._asdict()
    told = json.loads(printed("json", memory_line("web.1", IDENTITY, MEASURED)))
    assert told["metrics"] == {"memory_total": MEASURED.memory_rss, **MEASURED._asdict()}


def test_in_json_what_is_not_known_is_absent() -> None:
    told = json.loads(printed("json", memory_line("web.1", IDENTITY, Measurement(memory_rss=7))))
    assert told["metrics"] == {"memory_total": 7, "memory_rss": 7}
