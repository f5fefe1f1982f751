from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from signal import SIGKILL, SIGRTMIN, SIGTERM
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.api import SUPERVISOR, LogBatch, LogEvent
from hsup.archives.errors import ChecksumError
from hsup.errors import HsupError
from hsup.events import (
    DynoExited,
    DynoStateChanged,
    Event,
    ReleaseReceived,
    ReleaseRejected,
    Scale,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.lifecycle import State
from hsup.model import Address, DynoName, ExitStatus, Release, Slug
from hsup.output import causes, messages
from hsup.output.lines import Line
from hsup.output.messages import narrate
from hsup.output.printer import UnmixedLines
from hsup.output.screen import ScreenFormatter
from hsup.testing import make_batch, make_release

# 2026-01-02T15:04:05.123456789 UTC
MOMENT = 1_767_366_245_123_456_789
WEB, WORKER = DynoName("web", 1), DynoName("worker", 1)
LOCAL = Address("127.0.0.1", 5000)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def form() -> ScreenFormatter:
    return ScreenFormatter(coloured=False, has_times=False)


def printed(form: ScreenFormatter, *events: Event) -> bytes:
    """Return what is printed for events."""
    shown = b""
    for event in events:
        about, lines = narrate(event)
        for line in lines:
            text = line.text.encode() + b"\n"
            shown += form(make_batch(text, dyno=about, source="hsup")._replace(event=line.event))
    return shown


def told(form: ScreenFormatter, *events: Event) -> list[str]:
    """Return the lines that are printed for events, without the prefix."""
    return [line.partition(" | ")[2] for line in printed(form, *events).decode().splitlines()]


def changed(before: State, after: State, **rest: Any) -> DynoStateChanged:
    return DynoStateChanged(**{"dyno": WEB, "before": before, "after": after, **rest})


UP = changed(State.STARTING, State.UP, pid=4711, address=LOCAL)


def test_a_line_has_the_local_time_and_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    form = ScreenFormatter(coloured=False)
    assert form(make_batch(b"a\n\nb\n", time=MOMENT)) == (
        b"15:04:05 web.1 | a\n15:04:05 web.1 | \n15:04:05 web.1 | b\n"
    )
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    assert form(make_batch(b"a\n", time=MOMENT + 10**9)) == b"17:04:06 web.1 | a\n"


def test_the_column_fits_the_names_of_all_that_is_to_run(form: ScreenFormatter) -> None:
    told(form, ReleaseReceived(release=make_release(web=1), ports={"web.1": 1, "worker.12": 2}))
    assert form(make_batch(b"a\n")) == b"web.1     | a\n"
    assert form(make_batch(b"a\n", dyno="release.1234")) == b"release.1234 | a\n"


@pytest.mark.parametrize(
    ("look", "columns"),
    [({}, 21), ({"has_times": False}, 12), ({"has_prefix": False}, 0)],
    ids=str,
)
def test_the_columns_before_a_line_are_known_when_it_is_known_what_is_to_run(
    look: dict[str, Any], columns: int
) -> None:
    form = ScreenFormatter(coloured=True, **look)
    announced(form, ("procfile", "simple"), make_release(web=1), {"web.1": 1, "worker.12": 2})
    assert form.prefix_columns == columns


def announced(
    form: ScreenFormatter,
    origin: tuple[str, str],
    release: Release,
    ports: Mapping[str, int | None],
    taken: Collection[int] = (),
) -> list[str]:
    printed = form.announce(*origin, release, ports, lambda port: port not in taken, moment=MOMENT)
    return [line.partition(" | ")[2] for line in printed.decode().splitlines()]


def test_the_column_has_room_for_a_release_phase_that_runs_before_the_dynos(
    form: ScreenFormatter,
) -> None:
    announced(form, ("procfile", "simple"), make_release(web=1, release=0), {"web.1": 1})
    assert form(make_batch(b"a\n")) == b"web.1        | a\n"


def test_what_is_announced_is_no_wider_than_the_window() -> None:
    form = ScreenFormatter(coloured=False, has_times=False, columns=lambda: 60)
    ports = {f"type{number}.1": 5000 for number in range(12)}
    told = announced(form, ("procfile", "simple"), make_release(web=1), ports)
    assert max(map(len, told)) <= 60 - form.prefix_columns
    narrow = ScreenFormatter(coloured=False, columns=lambda: 3)
    assert (
        announced(narrow, ("procfile", "simple"), make_release(web=1), ports)[0] == "shop, 12 dynos"
    )


def test_a_port_that_another_program_has_is_no_place_where_the_application_serves(
    form: ScreenFormatter,
) -> None:
    release = make_release(web=1)
    told_first = announced(form, ("procfile", "simple"), release, {"web.1": 5000}, {5000})
    assert told_first[2] == "web cannot serve on port 5000; ^C stops all"
    assert told(form, UP) == ["web.1 started (pid 4711, port 5000)"]


def test_a_port_is_looked_at_again_whenever_a_web_dyno_is_about_to_start_again(
    form: ScreenFormatter,
) -> None:
    taken = {5000}
    announced(form, ("procfile", "simple"), make_release(web=1), {"web.1": 5000}, taken)
    told(form, UP)
    taken.clear()
    assert told(form, UP) == ["web.1 started (pid 4711, port 5000)"]
    again = changed(State.CRASHED, State.PROVISIONING)
    assert told(form, again, UP) == ["web.1 started (pid 4711, http://localhost:5000)"]
    taken.add(5000)
    assert told(form, again, UP) == ["web.1 started (pid 4711, port 5000)"]


def test_the_port_of_a_dyno_that_serves_nothing_is_not_looked_at(form: ScreenFormatter) -> None:
    announced(form, ("procfile", "simple"), make_release(worker=1), {"worker.1": 5000}, {5000})
    assert told(form, UP) == ["web.1 started (pid 4711, http://localhost:5000)"]


def test_it_is_said_first_what_runs_here(form: ScreenFormatter) -> None:
    release = make_release(web=2, worker=1)._replace(slug=Slug("/srv/shop", inode=7))
    ports = {"web.1": 5000, "web.2": 5001, "worker.1": 5100}
    assert announced(form, ("procfile", "simple"), release, ports) == [
        "shop, release v1: web.1, web.2, worker.1",
        "source procfile in /srv/shop, driver simple",
        "web serves on ports 5000 to 5001; ^C stops all",
    ]
    assert told(form, SupervisorStarted(source="procfile", driver="simple")) == []
    assert told(form, ReleaseReceived(release=release, ports=ports)) == []
    later = release._replace(version=2)
    assert told(form, ReleaseReceived(release=later, ports=ports)) == ["release v2"]
    assert form(make_batch(b"a\n")) == b"web.1    | a\n"


@pytest.mark.parametrize(
    ("version", "ports", "lines"),
    [
        (1, {"web.1": 5000, "clock.1": 5100}, []),
        (1, {"web.1": 5000}, ["shop, release v1: web.1"]),
        (2, {"web.1": 5000, "clock.1": 5100}, ["shop, release v2: web.1, clock.1"]),
        (1, {}, ["shop, release v1: no dynos"]),
    ],
)
def test_what_runs_is_said_again_if_it_is_not_what_was_announced(
    form: ScreenFormatter, version: int, ports: Mapping[str, int], lines: list[str]
) -> None:
    announced(form, ("procfile", "simple"), make_release(), {"web.1": 5000, "clock.1": 5100})
    release = make_release(version=version)
    assert told(form, ReleaseReceived(release=release, ports=ports)) == lines
    later = ReleaseReceived(release=make_release(version=3), ports=ports)
    assert told(form, later) == ["release v3"]


@pytest.mark.parametrize("app", ["My App", "Big shop"])
def test_names_are_printed_as_they_are(form: ScreenFormatter, app: str) -> None:
    release = make_release(web=1)._replace(app=app)
    lines = announced(form, ("procfile", "simple"), release, {"web.1": 5000})
    assert lines[0] == f"{app}, release v1: web.1"
    other = ReleaseReceived(release=release, ports={"web.2": 5001})
    assert told(form, other) == [f"{app}, release v1: web.2"]


def test_what_serves_nothing_does_not_say_where(form: ScreenFormatter) -> None:
    release = make_release(worker=1)
    assert announced(form, ("directory", "docker"), release, {"worker.1": None}) == [
        "shop, release v1: worker.1",
        "source directory, driver docker",
        "^C stops all",
    ]
    assert announced(form, ("directory", "docker"), release, {})[0] == "shop, release v1: no dynos"


OUT_OF_MEMORY = ExitStatus(signal=SIGKILL, out_of_memory=True)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            changed(State.STARTING, State.UP, pid=4711, address=LOCAL),
            "web.1 started (pid 4711, http://localhost:5000)",
        ),
        (
            changed(State.STARTING, State.UP, dyno=WORKER, pid=4711, address=LOCAL),
            "worker.1 started (pid 4711, port 5000)",
        ),
        (
            changed(State.STARTING, State.UP, address=Address("172.16.0.30", 5000)),
            "web.1 started (http://172.16.0.30:5000)",
        ),
        (changed(State.STARTING, State.UP), "web.1 started"),
        (
            changed(State.UP, State.CRASHED, status=ExitStatus(3), restart_seconds=0.0),
            "web.1 exited with status 3, restarts now",
        ),
        (
            changed(State.UP, State.CRASHED, status=ExitStatus(3), restart_seconds=4.4),
            "web.1 exited with status 3, restarts in 4 s",
        ),
        (
            changed(
                State.UP, State.CRASHED, status=ExitStatus(signal=SIGKILL), restart_seconds=0.4
            ),
            "web.1 was killed by SIGKILL, restarts in 1 s",
        ),
        (
            changed(
                State.STARTING,
                State.CRASHED,
                reason="no",
                status=ExitStatus(255),
                restart_seconds=8,
            ),
            "web.1 cannot start: no, restarts in 8 s",
        ),
        (changed(State.UP, State.COMPLETE, status=ExitStatus(0)), "web.1 exited with status 0"),
        (
            changed(State.STOPPING, State.STOPPED, status=ExitStatus(signal=SIGTERM)),
            "web.1 stopped",
        ),
        (changed(State.STOPPING, State.STOPPED, status=ExitStatus(143)), "web.1 stopped"),
        (changed(State.STOPPING, State.STOPPED, status=ExitStatus(0)), "web.1 stopped"),
        (changed(State.STOPPING, State.STOPPED), "web.1 stopped"),
        (
            changed(State.STOPPING, State.STOPPED, status=ExitStatus(3)),
            "web.1 stopped with status 3",
        ),
        (
            changed(State.STOPPING, State.STOPPED, status=ExitStatus(signal=SIGKILL)),
            "web.1 stopped, killed by SIGKILL",
        ),
        (
            changed(State.STOPPING, State.STOPPED, status=ExitStatus(signal=SIGRTMIN + 1)),
            f"web.1 stopped, killed by signal {SIGRTMIN + 1}",
        ),
        (changed(State.CRASHED, State.STOPPED, status=ExitStatus(3)), "web.1 stopped"),
        (
            changed(State.UP, State.CRASHED, status=OUT_OF_MEMORY, restart_seconds=4.4),
            "web.1 was killed by SIGKILL, out of memory (R15), restarts in 4 s",
        ),
        (
            changed(State.UP, State.COMPLETE, status=ExitStatus(1, out_of_memory=True)),
            "web.1 exited with status 1, out of memory (R15)",
        ),
        (
            changed(State.STOPPING, State.STOPPED, status=OUT_OF_MEMORY),
            "web.1 stopped, killed by SIGKILL, out of memory (R15)",
        ),
        (
            changed(State.STOPPING, State.STOPPED, status=ExitStatus(0, out_of_memory=True)),
            "web.1 stopped, out of memory (R15)",
        ),
        (SupervisorStopping(reason="SIGINT received"), "stopping all dynos: SIGINT received"),
        (
            ReleaseRejected(error=HsupError("no"), running=1),
            "release rejected, still running v1: no",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_has_one_line(form: ScreenFormatter, event: Event, line: str) -> None:
    assert told(form, event) == [line]


@pytest.mark.parametrize(
    "event",
    [
        changed(State.NEW, State.PROVISIONING),
        changed(State.PROVISIONING, State.STARTING),
        changed(State.UP, State.RESTARTING),
        changed(State.RESTARTING, State.PROVISIONING),
        DynoExited(dyno=WEB, status=ExitStatus(3)),
        DynoExited(dyno=WEB, status=OUT_OF_MEMORY),
    ],
    ids=str,
)
def test_what_another_line_says_has_none(form: ScreenFormatter, event: Event) -> None:
    assert told(form, event) == []


def test_a_release_has_one_line_whatever_it_changes(form: ScreenFormatter) -> None:
    first = ReleaseReceived(make_release(version=1, web=1), formation={"web": Scale(1)})
    told(form, first)
    release = make_release(version=2, web=2, config={"A": "1"})
    second = ReleaseReceived(release, formation={"web": Scale(2)}, previous=first)
    assert told(form, second) == ["release v2"]
    third = ReleaseReceived(release, formation={"web": Scale(3)}, previous=second)
    assert told(form, third) == ["release v2"]


def test_a_release_phase_is_told_by_what_its_dyno_does(form: ScreenFormatter) -> None:
    release = make_release(web=1)
    assert said(form, causes.release_phase_started(release), "api") == b""
    assert said(form, causes.release_phase_failed(release), "api") == b""


def test_a_wrong_checksum_is_told_once(form: ScreenFormatter) -> None:
    error = ChecksumError("a", "b", hint="ask")
    (line,) = told(form, ReleaseRejected(error=error, running=1))
    assert line.startswith("release rejected, still running v1: Error R17 (Checksum error)")


def said(form: ScreenFormatter, line: Line, dyno: str = "web.1") -> bytes:
    batch = make_batch(line.text.encode() + b"\n", dyno=dyno, source="hsup")
    return form(batch._replace(event=line.event))


def test_other_lines_of_hsup_name_the_dyno(form: ScreenFormatter) -> None:
    assert said(form, messages.STOPPING) == b""
    assert said(form, messages.waiting_for_port(5000, WORKER)) == (
        b"hsup | web.1: waiting for port 5000, which worker.1 has until it ends\n"
    )
    line = make_batch(b"Warning: x\n", dyno=SUPERVISOR, source="hsup")
    assert form(line) == b"hsup | Warning: x\n"


def test_a_dyno_that_had_to_be_killed_has_one_line(form: ScreenFormatter) -> None:
    killed = ExitStatus(signal=SIGKILL)
    assert said(form, messages.exit_timeout(30)) == (
        b"hsup | web.1 was killed: at least one process failed to exit "
        b"within 30 seconds of SIGTERM (R12)\n"
    )
    assert said(form, messages.KILLING) == b""
    stopped = changed(State.STOPPING, State.STOPPED, status=killed)
    assert told(form, DynoExited(dyno=WEB, status=killed), stopped) == []
    assert told(form, stopped) == ["web.1 stopped, killed by SIGKILL"]


def test_that_a_dyno_had_to_be_killed_is_forgotten_when_it_has_started_again(
    form: ScreenFormatter,
) -> None:
    said(form, messages.exit_timeout(30))
    killed = ExitStatus(signal=SIGKILL)
    told(form, UP)
    stopped = changed(State.STOPPING, State.STOPPED, status=killed)
    assert told(form, stopped) == ["web.1 stopped, killed by SIGKILL"]


def test_a_dyno_that_was_adopted_has_one_line(form: ScreenFormatter) -> None:
    assert said(form, messages.ADOPTED) == b""
    up = changed(State.STARTING, State.UP, pid=4711)
    assert told(form, up) == ["web.1 was left running by a previous hsup (pid 4711)"]
    assert told(form, up) == ["web.1 started (pid 4711)"]


def test_control_characters_in_names_are_made_visible(form: ScreenFormatter) -> None:
    release = make_release(web=1)._replace(app="sh\x1b[2Jop")
    lines = announced(form, ("procfile", "simple"), release, {"web.1": 1})
    assert lines[0] == r"sh\x1b[2Jop, release v1: web.1"


def test_the_colours_of_a_line_end_with_it() -> None:
    form = ScreenFormatter(coloured=True, has_times=False)
    assert form(make_batch(b"\x1b[31mred\nagain\n")) == (
        b"\x1b[36mweb.1 |\x1b[0m \x1b[31mred\x1b[0m\n\x1b[36mweb.1 |\x1b[0m again\x1b[0m\n"
    )
    assert form(make_batch(b"plain\n")) == b"\x1b[36mweb.1 |\x1b[0m plain\n"


def test_what_is_written_over_a_line_has_its_prefix(form: ScreenFormatter) -> None:
    assert form(make_batch(b"10%\r20%\r\n")) == b"web.1 | 10%\rweb.1 | 20%\r\n"


def test_a_bar_that_is_drawn_piece_by_piece_keeps_its_prefix(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    assert lines.unfinished(begun(b"10%\r")) == b"web.1 | 10%"
    assert lines.unfinished(begun(b"10%\r20%\r")) == b"\rweb.1 | 20%"
    assert lines(make_batch(b"10%\r20%\rdone\n")) == b"\rweb.1 | done\n"
    assert lines.unfinished(begun(b"x\r")) == b"web.1 | x"
    assert lines(make_batch(b"y\n", dyno="web.2")) == b"\nweb.2 | y\n"
    assert lines(make_batch(b"x\r20%\rdone\n")) == b"web.1 | 20%\rweb.1 | done\n"


def test_what_has_been_shown_of_a_last_line_is_not_shown_again(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    assert lines.unfinished(begun(b"More? ")) == b"web.1 | More? "
    assert lines(make_batch(b"y\n", dyno="web.2")) == b"\nweb.2 | y\n"
    assert lines(make_batch(b"More? ")) == b""
    assert lines.unfinished(begun(b"10%")) == b"web.1 | 10%"
    assert lines(make_batch(b"y\n", dyno="web.2")) == b"\nweb.2 | y\n"
    assert lines(make_batch(b"10% and 20%")) == b"web.1 |  and 20%\n"


def test_from_the_end_on_lines_are_written_over_keys_that_a_terminal_echoes() -> None:
    form = ScreenFormatter(coloured=False, has_times=False, echoes=True)
    notice = make_batch(b"hello\n", dyno="supervisor", source="hsup")
    assert form(notice) == b"hsup | hello\n"
    stopping = SupervisorStopping(reason="SIGINT received")
    stop = notice._replace(event=LogEvent("stopping_all", of=stopping))
    assert form(stop) == b"\rhsup | stopping all dynos: SIGINT received\n"
    assert form(notice) == b"\rhsup | hello\n"
    assert form(make_batch(b"a\nb\n")) == b"\rweb.1 | a\n\rweb.1 | b\n"


def test_a_colour_lasts_as_long_as_its_line(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    assert lines.unfinished(begun(b"\x1b[31mred")) == b"web.1 | \x1b[31mred"
    assert lines(make_batch(b"\x1b[31mred too\nplain\n")) == (
        b" too\x1b[0m\nweb.1 | plain\x1b[0m\n"
    )
    assert lines.unfinished(begun(b"\x1b[31mred")) == b"web.1 | \x1b[31mred"
    assert lines(make_batch(b"y\n", dyno="web.2")) == b"\n\x1b[0mweb.2 | y\n"


def test_without_prefix_lines_are_as_they_were_written() -> None:
    form = ScreenFormatter(coloured=True, has_prefix=False)
    assert form(make_batch(b"a\nb\n")) == b"a\nb\n"


def begun(text: bytes, dyno: str = "web.1") -> LogBatch:
    return make_batch(text, dyno=dyno, is_partial=True)


def test_a_line_that_has_begun_goes_on_where_it_is(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    assert lines.unfinished(begun(b"Continue? ")) == b"web.1 | Continue? "
    assert lines.unfinished(begun(b"Continue? y")) == b"y"
    assert lines(make_batch(b"Continue? yes\nnext\n")) == b"es\nweb.1 | next\n"
    assert lines(make_batch(b"more\n")) == b"web.1 | more\n"


def test_a_line_that_has_begun_and_was_interrupted_goes_on_in_another(
    form: ScreenFormatter,
) -> None:
    lines = UnmixedLines(form)
    assert lines.unfinished(begun(b"Continue? ")) == b"web.1 | Continue? "
    assert lines(make_batch(b"x\n", dyno="web.2")) == b"\nweb.2 | x\n"
    assert lines.unfinished(begun(b"Continue? y")) == b"web.1 | y"
    assert lines.between(b"hsup: x\n") == b"\nhsup: x\n"
    assert lines(make_batch(b"Continue? yes\nnext\n")) == b"web.1 | es\nweb.1 | next\n"


def test_a_line_that_was_interrupted_has_no_empty_end(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    for end in (b"\n", b"\r\n"):
        assert lines.unfinished(begun(b"done")) == b"web.1 | done"
        assert lines(make_batch(b"x\n", dyno="web.2")) == b"\nweb.2 | x\n"
        assert lines(make_batch(b"done" + end + b"next\n")) == b"web.1 | next\n"


def test_a_long_line_that_is_interrupted_again_and_again_is_printed_once(
    form: ScreenFormatter,
) -> None:
    lines = UnmixedLines(form)
    printed = b""
    for count in range(1, 100):
        printed += lines.unfinished(begun(b"." * count))
        printed += lines(make_batch(b"tick\n", dyno="web.2"))
    assert printed == b"web.1 | .\nweb.2 | tick\n" * 99


def test_a_line_of_hsup_that_is_not_shown_interrupts_nothing(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    lines.unfinished(begun(b"Continue? "))
    hidden = make_batch(b"x\n", source="hsup")._replace(event=messages.STOPPING.event)
    assert lines(hidden) == b""
    assert lines(make_batch(b"Continue? yes\n")) == b"yes\n"


def test_a_line_that_has_begun_may_end_without_a_newline(form: ScreenFormatter) -> None:
    lines = UnmixedLines(form)
    lines.unfinished(begun(b"Continue? "))
    assert lines(make_batch(b"Continue? ")) == b"\n"
    assert lines(make_batch(b"x\n")) == b"web.1 | x\n"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["web.1", "web.2"]),
        st.text("ab", min_size=1, max_size=4),
        st.sampled_from(["shown", "piece", "end"]),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_whatever_is_shown_early_every_byte_is_there_once_and_no_line_is_mixed(
    steps: list[tuple[str, str, str]],
) -> None:
    lines = UnmixedLines(ScreenFormatter(coloured=False, has_times=False))
    rest = {"web.1": b"", "web.2": b""}
    written = dict(rest)
    printed = b""
    for dyno, text, kind in [*steps, ("web.1", "a", "end"), ("web.2", "b", "end")]:
        rest[dyno] += text.encode()
        written[dyno] += text.encode()
        if kind == "shown":
            printed += lines.unfinished(begun(rest[dyno], dyno))
        elif kind == "end":
            printed += lines(make_batch(rest[dyno] + b"\n", dyno=dyno))
            rest[dyno] = b""
    for line in printed.splitlines():
        assert re.fullmatch(rb"web\.[12] \| [ab]+", line), line
    for dyno, whole in written.items():
        assert b"".join(re.findall(rf"{dyno} \| (.*)".encode(), printed)) == whole
