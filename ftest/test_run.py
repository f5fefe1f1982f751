"""`hsup run`: one program with the streams, the words and the status of its caller."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from ftest.program import Hsup, process

#: What a dyno may see beside its config vars, and what bash adds by itself.
PASSED = {"PATH", "HOME", "USER", "SHELL", "LANG", "TERM", "TMPDIR", "TZ", "DYNO", "PORT"}
BASH = {"PWD", "OLDPWD", "SHLVL", "_", "PS1"}


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(web="exec sleep 1")


def test_one_word_is_a_line_for_the_shell(hsup: Hsup) -> None:
    done = hsup.call("run", "echo $((1 + 2)) | tr 3 x && echo y; exit 4")
    assert (done.out, done.status) == (b"x\ny\n", 4)


def test_several_words_reach_the_program_as_they_are(hsup: Hsup) -> None:
    done = hsup.call("run", "--", "printf", "<%s>", "a  b", "$HOME", "", "*", "a\nb", "ü'\"\\")
    assert done.text == "<a  b><$HOME><><*><a\nb><ü'\"\\>"


def test_echo_of_the_manual_prints_exactly_its_words(hsup: Hsup) -> None:
    assert hsup.call("run", "--", "echo", "a  b", "$HOME").out == b"a  b $HOME\n"


def test_words_after_the_program_are_the_programs(hsup: Hsup) -> None:
    done = hsup.call("run", "echo", "--driver", "nope", "--help", "-v", "--", "-x")
    assert done.out == b"--driver nope --help -v -- -x\n"


def test_options_are_accepted_before_and_after_the_command(hsup: Hsup) -> None:
    assert hsup.call("-a", "shop", "run", "true").status == 0
    assert hsup.call("run", "-a", "shop", "--grace", "1", "true").status == 0


def test_config_vars_and_dyno_are_in_the_environment(hsup: Hsup) -> None:
    (hsup.directory / ".env").write_text("NAME=CONTENTS\nQUOTED='a  b'\n")
    done = hsup.call("run", 'echo "$NAME|$QUOTED|$DYNO"')
    assert done.text.startswith("CONTENTS|a  b|run.")
    dyno = done.text.rsplit(".", 1)[1].strip()
    assert len(dyno) == 4
    assert dyno.isdigit()


def test_config_vars_are_passed_byte_for_byte(hsup: Hsup) -> None:
    odd = {"A": "two\nlines", "B": "$HOME `id` %s", "C": "", "D": " a=b ", "E": "ünï'\"\\"}
    hsup.release(Env=odd, Processes=[{"Type": "web", "Args": ["true"], "Quantity": 1}])
    done = hsup.call("run", "--", "env", "-0")
    seen = dict(one.split("=", 1) for one in done.text.split("\0") if one)
    assert {name: seen.get(name) for name in odd} == odd


def test_no_variable_of_hsup_leaks(hsup: Hsup) -> None:
    secrets = {
        "HEROKU_ACCESS_TOKEN": "s3cret",
        "HEROKU_API_KEY": "s3cret",
        "HSUP_LOG_FORMAT": "raw",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "VIRTUAL_ENV": "/s3cret",
        "PYTHONPATH": "/s3cret",
        "LD_LIBRARY_PATH": "/s3cret",
        "CONTROL_DIR": "/s3cret",
    }
    done = hsup.call("--source", "procfile", "run", "--clean-env", "--", "env", env=secrets)
    assert done.status == 0
    assert "s3cret" not in done.text
    names = {line.split("=", 1)[0] for line in done.text.splitlines()}
    assert {name for name in names if not name.startswith("LC_")} <= PASSED | BASH


@pytest.mark.parametrize("way", ["procfile", "control file"])
def test_the_callers_variables_reach_what_runs_where_its_procfile_is(hsup: Hsup, way: str) -> None:
    if way == "control file":
        hsup.release(Processes=[process("one", "true")])
    theirs = {"GREETING": "hello", "FORCE_COLOR": "1", "NOTIFY_SOCKET": "/x", "HEROKU_API_KEY": "x"}
    seen = hsup.call("run", "--", "env", env=theirs).text.splitlines()
    runs_in_place = way == "procfile" and not hsup.has_containers
    wanted = {"GREETING=hello", "FORCE_COLOR=1"}
    assert wanted & {*seen} == (wanted if runs_in_place else set())
    assert not [line for line in seen if line.startswith(("NOTIFY_", "HEROKU_API", "HSUP_PROC"))]


def test_config_vars_outweigh_the_callers_variables(hsup: Hsup) -> None:
    hsup.files({".env": "GREETING=of the application\n"})
    done = hsup.call("run", "echo $GREETING", env={"GREETING": "hello"})
    assert done.text == "of the application\n"


@pytest.mark.simple_only("a container has an environment of its own")
def test_python_prints_at_once_where_hsup_relays_it(hsup: Hsup) -> None:
    hsup.procfile(one='echo "unbuffered: $PYTHONUNBUFFERED"')
    assert "]: unbuffered: 1\n" in hsup.call("start", "--oneshot").text
    assert hsup.call("run", "one").text == "unbuffered: \n"


def test_variables_are_passed_on_by_name_or_pattern(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", "true")])
    theirs = {"AWS_KEY": "1", "AWS_NAME": "2", "OTHER": "3", "NEITHER": "4", "HSUP_X": "5"}
    words = ("run", "--pass-env", "AWS_*,OTHER", "--pass-env", "HSUP_*", "--", "env")
    seen = hsup.call(*words, env=theirs).text.splitlines()
    assert {"AWS_KEY=1", "AWS_NAME=2", "OTHER=3"} <= {*seen}
    assert not {"NEITHER=4", "HSUP_X=5"} & {*seen}


@pytest.mark.simple_only("a container has a home and a PATH of its own")
def test_what_a_shell_needs_is_passed_on(hsup: Hsup) -> None:
    wanted = {"TZ": "Asia/Kolkata", "LC_TIME": "C", "TERM": "vt100", "TMPDIR": "/var/tmp"}
    done = hsup.call("run", 'echo "$TZ $LC_TIME $TERM $TMPDIR $HOME"', env=wanted)
    assert done.text == f"Asia/Kolkata C vt100 /var/tmp {hsup.environ['HOME']}\n"


def test_the_program_runs_in_the_directory_of_the_application(hsup: Hsup) -> None:
    assert hsup.call("run", "--", "/bin/pwd").text.strip() == hsup.home


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("kill -SEGV $$", 139),
        ("no-such-program-of-ftest", 127),
        ("/etc/passwd", 126),
    ],
)
def test_the_status_of_a_line_is_what_a_shell_would_say(hsup: Hsup, line: str, status: int) -> None:
    assert hsup.call("run", line).status == status


def test_the_status_of_an_argv_is_what_a_shell_would_say(hsup: Hsup) -> None:
    assert hsup.call("run", "--", "bash", "-c", "exit 7").status == 7
    assert hsup.call("run", "--", "bash", "-c", "kill -USR1 $$").status == 138


@pytest.mark.parametrize(
    ("program", "status"),
    [("no-such-program-of-ftest", 127), ("/no/such/one", 127), ("/etc/passwd", 126), ("/etc", 126)],
)
def test_a_program_that_cannot_be_executed_is_named(hsup: Hsup, program: str, status: int) -> None:
    done = hsup.call("run", "--", program, "word")
    assert done.status == status
    assert done.out == b""
    assert done.message.startswith("bash: " if hsup.has_containers else "hsup: ")
    assert program in done.message
    assert "Traceback" not in done.message


def test_hsup_says_nothing_where_all_is_well(hsup: Hsup) -> None:
    done = hsup.call("run", "--", "true")
    assert (done.out, done.err, done.status) == (b"", b"", 0)


def test_the_two_streams_stay_apart(hsup: Hsup) -> None:
    done = hsup.call("run", "echo out; echo err >&2")
    assert (done.out, done.err) == (b"out\n", b"err\n")


def test_a_mebibyte_of_random_bytes_passes_unchanged(hsup: Hsup) -> None:
    data = os.urandom(1 << 20)
    assert hsup.call("run", "cat", stdin=data).out == data
    assert hsup.call("run", "--", "cat", stdin=data).out == data


def test_a_program_that_leaves_its_input_unread_ends_well(hsup: Hsup) -> None:
    done = hsup.call("run", "--", "head", "-c", "1", stdin=b"x" * (1 << 20))
    assert (done.out, done.status) == (b"x", 0)


def test_the_end_of_the_input_is_seen_while_hsup_runs(hsup: Hsup) -> None:
    running = hsup.begin("run", "echo ready; cat; echo over")
    running.wait_for("^ready$")
    running.stdin.write(b"one\n")
    running.stdin.flush()
    running.wait_for("^one$")
    running.stdin.close()
    assert running.ended() == 0
    assert running.out == "ready\none\nover\n"


def test_sigterm_goes_to_the_program(hsup: Hsup) -> None:
    running = hsup.begin("run", f"trap 'echo told; exit 9' TERM; {hsup.sleep} & echo ready; wait")
    running.wait_for("^ready$")
    hsup.sleepers()  # else bash may lose the signal between fork and exec
    assert running.stop() == 9
    assert "told" in running.out


def test_sighup_goes_to_the_program(hsup: Hsup) -> None:
    running = hsup.begin("run", f"trap 'echo told; exit 9' HUP; {hsup.sleep} & echo ready; wait")
    running.wait_for("^ready$")
    hsup.sleepers()
    assert running.stop(signal.SIGHUP) == 9


#: Bash ends without its trap where what it waits for ends at the same moment.
READY = "echo ready; while :; do wait; done"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGRTMIN,
        signal.SIGRTMIN + 5,
        signal.SIGRTMAX,
    ],
)
def test_what_would_end_hsup_goes_to_the_program(hsup: Hsup, number: int) -> None:
    line = f"trap 'echo told; exit 9' {int(number)}; {hsup.sleep} & {READY}"
    running = hsup.begin("run", line)
    running.wait_for("^ready$")
    hsup.sleepers()
    assert running.stop(number) == 9
    assert running.out == "ready\ntold\n"


def test_sigterm_that_is_sent_twice_at_once_is_one_and_leaves_the_grace(hsup: Hsup) -> None:
    """As `timeout` sends one to the process, and one to its group."""
    tidy = "for _ in 1 2 3 4 5; do sleep 0.2; done; echo tidied; exit 9"
    running = hsup.begin("run", f"trap '{tidy}' TERM; {hsup.sleep} & {READY}")
    running.wait_for("^ready$")
    hsup.sleepers()
    running.send_twice(signal.SIGTERM)
    assert running.ended() == 9
    assert "tidied" in running.out


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(hsup: Hsup) -> None:
    running = hsup.begin("--grace", "0.3", "run", f"trap '' TERM; echo ready; {hsup.sleep}")
    running.wait_for("^ready$")
    assert running.stop() == 137


@pytest.mark.parametrize("wrapper", ["", "setsid ", "nohup ", "env -i "])
def test_what_the_program_leaves_in_the_background_is_ended(hsup: Hsup, wrapper: str) -> None:
    done = hsup.call("run", f"{wrapper}{hsup.sleep} >/dev/null 2>&1 & echo done")
    assert (done.out, done.status) == (b"done\n", 0)
    assert hsup.processes() == {}


def test_run_needs_a_program(hsup: Hsup) -> None:
    done = hsup.call("run")
    assert done.status == 2
    assert done.out == b""


def test_the_release_phase_is_not_run(hsup: Hsup) -> None:
    hsup.procfile(release="echo migrating; exit 5", web="true")
    done = hsup.call("run", "echo one")
    assert (done.out, done.status) == (b"one\n", 0)


UNBLOCK = "import os; [os.set_blocking(stream, False) for stream in (0, 1, 2)]"


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_the_callers_streams_block_as_before_whatever_the_program_did_to_them(
    hsup: Hsup, how: str
) -> None:
    hsup.procfile(web="true")
    streams = [*os.pipe(), *os.pipe()]
    given = (streams[0], streams[3], streams[3])
    try:
        code = f"{UNBLOCK}; os.write(1, b'done\\n')"
        if how != "ends":
            code += "; import time; time.sleep(1000)"
        words = hsup.words("--grace", "0", "run", "--", hsup.python, "-c", code)
        environ = {**os.environ, **hsup.environ}
        child = subprocess.Popen(
            words, stdin=given[0], stdout=given[1], stderr=given[2], cwd=hsup.directory, env=environ
        )
        assert os.read(streams[2], 100).endswith(b"done\n")
        if how != "ends":
            child.send_signal(signal.SIGTERM)
        child.wait(60)
        assert [os.get_blocking(stream) for stream in given] == [True, True, True]
    finally:
        for stream in streams:
            os.close(stream)
