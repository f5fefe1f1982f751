"""What `hsup start` prints: every byte of every dyno, line by line, in order."""

from __future__ import annotations

import re
import signal

import pytest

from ftest.program import Finished, Hsup, eventually, json_lines

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"
BIG = "head -c {bytes} /dev/zero | tr '\\0' x"


def oneshot(hsup: Hsup, *words: str, **commands: str) -> Finished:
    hsup.procfile(**commands)
    return hsup.call("start", "--oneshot", *words)


def of_app(text: str, dyno: str = "one.1") -> list[str]:
    """Return the messages of a dyno, without their prefixes."""
    return re.findall(rf"^{TIME} app\[{re.escape(dyno)}\]: (.*)$", text, re.MULTILINE)


def test_a_line_has_the_time_the_dyno_and_the_text(hsup: Hsup) -> None:
    done = oneshot(hsup, one="echo 'hello  world'")
    assert re.search(rf"^{TIME} app\[one\.1\]: hello  world$", done.text, re.MULTILINE)
    assert re.search(
        rf"^{TIME} heroku\[one\.1\]: Starting process with command `echo 'hello  world'`$",
        done.text,
        re.MULTILINE,
    )
    for line in done.text.splitlines():
        assert re.match(rf"{TIME} (app|heroku|hsup)\[[^\]]+\]: ", line), line
    assert re.fullmatch(r"(hsup: building .*\n)*", done.message)  # where that takes long


def test_ten_thousand_lines_are_printed_before_the_exit_is_told(hsup: Hsup) -> None:
    done = oneshot(hsup, one="seq 10000")
    assert of_app(done.text) == [str(number) for number in range(1, 10_001)]
    assert done.text.index(": 10000\n") < done.text.index("Process exited with status 0")


def test_what_a_killed_dyno_wrote_last_is_printed_before_its_exit(hsup: Hsup) -> None:
    done = oneshot(hsup, one="seq 1000; printf half; kill -KILL $$")
    assert of_app(done.text)[-2:] == ["1000", "half"]
    assert done.text.index(": half\n") < done.text.index("Process exited with status 137")


def test_both_streams_are_printed(hsup: Hsup) -> None:
    done = oneshot(hsup, one="echo to stdout; echo to stderr >&2")
    assert sorted(of_app(done.text)) == ["to stderr", "to stdout"]


def test_a_partial_last_line_is_printed_as_a_line(hsup: Hsup) -> None:
    done = oneshot(hsup, one="printf 'whole\\nhalf'")
    assert of_app(done.text) == ["whole", "half"]
    assert "app[one.1]: half\n" in done.text


def test_empty_lines_are_lines(hsup: Hsup) -> None:
    assert of_app(oneshot(hsup, one="printf 'a\\n\\n\\nb\\n'").text) == ["a", "", "", "b"]


def test_a_carriage_return_before_the_newline_is_no_part_of_the_line_or_kept(hsup: Hsup) -> None:
    done = oneshot(hsup, one="printf 'one\\r\\ntwo\\r\\n'")
    assert [line.rstrip("\r") for line in of_app(done.out.decode())] == ["one", "two"]


def test_invalid_utf_8_passes_unchanged(hsup: Hsup) -> None:
    done = oneshot(hsup, one=r"printf 'a\377\376b\303\n'")
    assert b"app[one.1]: a\xff\xfeb\xc3\n" in done.out


def test_a_megabyte_without_a_newline_is_not_lost(hsup: Hsup) -> None:
    done = oneshot(hsup, one=BIG.format(bytes=1_000_000))
    assert sum(len(line) for line in of_app(done.text)) == 1_000_000


def test_a_line_of_ten_megabytes_is_not_lost(hsup: Hsup) -> None:
    done = oneshot(hsup, one=f"{BIG.format(bytes=10_000_000)}; echo; echo after")
    lines = of_app(done.text)
    assert lines[-1] == "after"
    assert sum(len(line) for line in lines[:-1]) == 10_000_000


def test_half_lines_of_two_dynos_never_share_a_line(hsup: Hsup) -> None:
    line = "for i in {{1..300}}; do printf {0}{0}{0}; printf '{0}{0}\\n'; done"
    done = oneshot(hsup, one=line.format("a"), two=line.format("b"))
    assert of_app(done.text, "one.1") == ["aaaaa"] * 300
    assert of_app(done.text, "two.1") == ["bbbbb"] * 300


def test_half_lines_of_the_two_streams_never_share_a_line(hsup: Hsup) -> None:
    line = "for i in {1..300}; do printf aaa; printf bbb >&2; echo aa; echo bb >&2; done"
    lines = of_app(oneshot(hsup, one=line).text)
    assert sorted(lines) == ["aaaaa"] * 300 + ["bbbbb"] * 300


def test_what_a_background_child_writes_before_the_end_is_printed(hsup: Hsup) -> None:
    done = oneshot(hsup, one="(echo from the child) & wait; echo from the parent")
    assert of_app(done.text) == ["from the child", "from the parent"]


def test_a_child_that_keeps_the_stream_open_does_not_delay_the_exit(hsup: Hsup) -> None:
    hsup.procfile(one=f"setsid {hsup.sleep} & echo begun; exit 3")
    done = hsup.call("--grace", "1", "start", "--oneshot")
    assert done.status == 3
    assert "app[one.1]: begun\n" in done.text


def test_raw_is_the_bytes_of_each_stream_on_its_own(hsup: Hsup) -> None:
    done = oneshot(hsup, "--log-format", "raw", one=r"printf 'a\377\r\n\n'; printf 'b\n' >&2")
    assert done.out == b"a\xff\r\n\n"
    assert b"b\n" in done.err.splitlines(keepends=True)
    assert "Process exited with status 0" in done.message


def test_raw_events_have_the_dyno_too(hsup: Hsup) -> None:
    done = oneshot(hsup, "--log-format", "raw", one="exit 3")
    assert done.out == b""
    assert "heroku[one.1]: Process exited with status 3" in done.message


def test_json_has_one_object_a_line(hsup: Hsup) -> None:
    done = oneshot(hsup, "--log-format", "json", one='echo \'a "b" ü\'; printf "c\\n" >&2')
    objects = json_lines(done.text)
    of_all = {"time", "source", "dyno", "stream", "app", "release", "message"}
    of_hsup = of_all | {"event", "state", "status", "code"}
    of_dyno = [one for one in objects if "event" not in one]
    assert all(set(one) == of_all for one in of_dyno)
    assert all(set(one) >= of_hsup for one in objects if one not in of_dyno)
    of_dynos = [one for one in objects if one["dyno"] == "one.1"]
    assert {one["release"] for one in of_dynos} == {"v1"}
    assert all(one["app"] for one in of_dynos)
    assert [one["status"] for one in of_dynos if one.get("event") == "exited"] == [0]
    states = [one["state"] for one in of_dynos if one.get("event") == "state_changed"]
    assert states == ["up", "complete"]
    assert all(re.fullmatch(TIME, one["time"]) for one in objects)
    seen = {(one["source"], one["dyno"], one["stream"], one["message"]) for one in objects}
    assert ("app", "one.1", "stdout", 'a "b" ü') in seen
    assert ("app", "one.1", "stderr", "c") in seen
    assert ("heroku", "one.1", "stdout", "Process exited with status 0") in seen
    assert ("app", "api", "stdout", "Release v1 created") in seen


def test_json_has_lines_that_are_no_text_as_they_are_too(hsup: Hsup) -> None:
    done = oneshot(hsup, "--log-format", "json", one=r"printf 'a\377b\n'")
    (line,) = [one for one in json_lines(done.text) if "event" not in one]
    assert (line["message"], line["base64"]) == ("a\N{REPLACEMENT CHARACTER}b", "Yf9i")
    assert done.out.isascii()


def test_json_survives_invalid_utf_8_and_control_characters(hsup: Hsup) -> None:
    done = oneshot(hsup, "--log-format", "json", one=r"printf 'a\377\000\033[1m\tb\n'")
    messages = [one["message"] for one in json_lines(done.text) if "event" not in one]
    assert len(messages) == 1
    assert messages[0].startswith("a")
    assert messages[0].endswith("\tb")


def test_plain_has_the_dyno_and_the_text(hsup: Hsup) -> None:
    done = oneshot(hsup, "--log-format", "plain", one="echo hello")
    assert any("one.1" in line and "hello" in line for line in done.text.splitlines())
    assert "\x1b" not in done.text


def test_the_format_may_be_a_variable(hsup: Hsup) -> None:
    hsup.procfile(one="echo hello")
    done = hsup.call("start", "--oneshot", env={"HSUP_LOG_FORMAT": "raw"})
    assert done.out == b"hello\n"


def test_nothing_is_coloured_where_no_terminal_is(hsup: Hsup) -> None:
    assert b"\x1b" not in oneshot(hsup, one="echo hello").out


def test_the_output_may_be_a_file(hsup: Hsup) -> None:
    hsup.procfile(one="seq 1000")
    shell = ("bash", "-c", '"$@" > written', "bash")
    assert hsup.call("start", "--oneshot", prefix=shell).status == 0
    assert len(of_app((hsup.directory / "written").read_text())) == 1000


def test_a_file_that_may_not_be_larger_is_written_again_once_it_may(hsup: Hsup) -> None:
    hsup.procfile(one="for i in {1..1000}; do printf '%2000d\\n' $i; sleep 0.01; done")
    shell = ("bash", "-c", 'ulimit -Sf 64; exec "$@" > written', "bash")  # KiB
    running = hsup.begin("start", "--oneshot", prefix=shell)
    running.wait_for("^hsup: cannot print .*: File too large$")
    written = hsup.directory / "written"
    assert written.stat().st_size == 64 << 10
    written.write_bytes(b"")
    assert eventually(lambda: b"had no room; printing again\n" in written.read_bytes())
    assert b"\0" not in written.read_bytes()
    assert running.stop() in (0, 143)


def test_a_dyno_ignores_no_signal_that_python_does(hsup: Hsup) -> None:
    done = oneshot(hsup, one="grep -h SigIgn /proc/self/status")
    (line,) = of_app(done.text)
    ignored = int(line.split()[-1], 16)
    assert not any(ignored >> (one - 1) & 1 for one in (signal.SIGPIPE, signal.SIGXFSZ))


@pytest.mark.parametrize("form", ["heroku", "raw"])
def test_the_dynos_run_on_when_nobody_reads_the_output_any_more(hsup: Hsup, form: str) -> None:
    hsup.procfile(one="while :; do echo line; sleep 0.01; done")
    shell = ("bash", "-c", 'exec "$@" > >(head -1)', "bash")
    running = hsup.begin("start", "--log-format", form, prefix=shell)
    running.wait_for("^hsup: .*keep running")
    assert running.stop() == 0
    assert len(running.out.splitlines()) == 1
    assert running.count("keep running") == 1
    assert "Traceback" not in running.err


def test_a_reader_that_pauses_loses_nothing(hsup: Hsup) -> None:
    hsup.procfile(one="seq 200000")
    shell = ("bash", "-c", '"$@" | (read first; sleep 0.7; echo "$first"; cat)', "bash")
    done = hsup.call("start", "--oneshot", prefix=shell)
    assert len(of_app(done.text)) == 200_000


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--no-timestamps", r"^one\.1 \| hello$"),
        ("--no-prefix", r"^hello$"),
        ("--timestamps", r"^\d\d:\d\d:\d\d one\.1 \| hello$"),
    ],
)
def test_an_option_for_the_screen_chooses_its_format_in_a_pipe(
    hsup: Hsup, option: str, line: str
) -> None:
    hsup.procfile(one="echo hello")
    assert re.search(line, hsup.call("start", "--oneshot", option).text, re.MULTILINE)


@pytest.mark.parametrize("name", ["HSUP_PREFIX", "HSUP_TIMESTAMPS"])
def test_a_variable_for_the_screen_changes_nothing_in_a_pipe(hsup: Hsup, name: str) -> None:
    hsup.procfile(one="echo hello")
    done = hsup.call("start", "--oneshot", env={name: "0"})
    assert re.search(r"^\S+\+00:00 app\[one\.1\]: hello$", done.text, re.MULTILINE)
