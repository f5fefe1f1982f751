"""`hsup run` into a dyno: a terminal of its own, or pipes that change nothing."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ftest.program import Hsup, eventually
from ftest.terminal import Terminal

pytestmark = pytest.mark.containers_only("a run of the simple driver has hsup's own terminal")


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(one="true")


def test_ten_megabytes_pass_both_ways_unchanged(hsup: Hsup) -> None:
    data = os.urandom(10_000_000)
    done = hsup.call("run", "cat", stdin=data)
    assert (done.out == data, done.err, done.status) == (True, b"", 0)


def into(file: str) -> tuple[str, ...]:
    """Return what has hsup write to a file."""
    return ("sh", "-c", f'exec "$@" {file}', "sh")


def test_a_dyno_that_writes_to_a_file_can_open_its_streams_by_name(hsup: Hsup) -> None:
    line = "echo 1; echo 2 > /dev/stdout; echo 3 > /dev/stderr; echo 4 >&2; echo 5"
    assert hsup.call("run", line, prefix=into("> out 2>&1")).status == 0
    assert (hsup.directory / "out").read_text() == "1\n2\n3\n4\n5\n"
    hsup.call("run", line, prefix=into("> out 2> err"))
    assert (hsup.directory / "out").read_text() == "1\n2\n5\n"
    assert (hsup.directory / "err").read_text() == "3\n4\n"


def test_a_dyno_cannot_take_away_what_was_in_a_file(hsup: Hsup) -> None:
    (hsup.directory / "log").write_text("before\n")
    line = "head -c 3000000 /dev/zero; truncate -s 0 /proc/self/fd/1; : > /dev/stdout"
    hsup.call("run", line, prefix=into(">> log"))
    assert (hsup.directory / "log").read_bytes() == b"before\n" + bytes(3_000_000)


def test_a_file_that_takes_no_more_is_told(hsup: Hsup) -> None:
    limited = ("sh", "-c", 'ulimit -f 200; exec "$@" > out', "sh")
    done = hsup.call("run", "head -c 300000 /dev/zero", prefix=limited)
    assert done.status == 1
    expected = "hsup: cannot write the output of the dyno: File too large; check where standard"
    assert done.err.decode().startswith(expected)


def test_the_input_is_read_to_its_end(hsup: Hsup) -> None:
    assert hsup.call("run", "wc -c", stdin=b"\0" * 3_000_000).text == "3000000\n"


def test_a_killed_program_has_the_status_of_its_signal(hsup: Hsup) -> None:
    assert hsup.call("run", "kill -9 $$").status == 137
    assert hsup.call("run", "kill -ABRT $$").status == 134


def test_a_terminal_is_the_dynos_own(terminal: Callable[..., Terminal]) -> None:
    line = "tty; stat -c %U $(tty); ls -1 /dev/pts; echo $TERM"
    screen = terminal("run", line, env={"TERM": "vt100"})
    screen.wait_for(r"/dev/pts/0\r\ndyno\r\n0\r\nptmx\r\nvt100")
    assert screen.ended() == 0


def test_a_console_has_a_prompt(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "bash")
    screen.wait_for(r"~|/app")
    screen.wait_for(r"\$ ")
    screen.type("pwd; exit 7\n")
    screen.wait_for("/app")
    assert screen.ended() == 7


def test_a_console_has_job_control_and_its_signals(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("run", "bash")
    screen.wait_for(r"\$ ")
    screen.type(f"{hsup.sleep}\n")
    hsup.sleepers()
    screen.type("\x03")
    screen.wait_for(r"\$ ")
    screen.type("echo st''atus $?\n")
    screen.wait_for("status 130")
    screen.wait_for(r"\$ ")
    screen.type("\x04")
    screen.wait_for("exit")
    assert screen.ended() == 0


def test_the_last_words_on_a_terminal_are_not_lost(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "seq 20000")
    screen.wait_for("\n20000\r\n", timeout=20)
    assert screen.ended() == 0


def test_a_closed_terminal_ends_the_program(hsup: Hsup, terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", f"echo ready; {hsup.sleep}")
    screen.wait_for("ready")
    os.killpg(screen.child.pid, signal.SIGHUP)
    assert screen.ended() in {129, 137, 143}


@pytest.mark.parametrize("has_shell", [False, True])
@pytest.mark.parametrize("goes_on", ["while :; do echo x; sleep 0.01; done", "sleep 600 & wait"])
def test_a_program_has_its_grace_when_the_terminal_is_closed(
    hsup: Hsup, terminal: Callable[..., Terminal], tmp_path: Path, *, has_shell: bool, goes_on: str
) -> None:
    """Writing to it is an error then, and SIGHUP comes twice: from a shell, and the kernel."""
    tmp_path.chmod(0o777)
    line = f"trap 'sleep 0.5 && touch /mark/ended; exit' HUP; echo ready; {goes_on}"
    words = hsup.words("--bind", f"{tmp_path}:/mark", "run", line)
    screen = terminal(argv=["bash", "--norc", "--noprofile", "-i"] if has_shell else words)
    if has_shell:
        screen.type(shlex.join(map(str, words)) + "\n")
    screen.wait_for("ready\r")
    screen.hang_up()
    assert eventually((tmp_path / "ended").exists)
    assert eventually(lambda: not hsup.processes())


def test_a_run_beside_a_start_is_another_dyno(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    assert hsup.token not in hsup.call("run", "ps -ef").text
    assert running.stop() == 0


def test_a_program_that_ends_at_once_has_its_status_whatever_its_streams(hsup: Hsup) -> None:
    quiet = into("> out 2>&1 < /dev/null")
    assert [hsup.call("run", "exit 3", prefix=quiet).status for _ in range(10)] == [3] * 10


def test_a_dyno_has_priorities_and_limits_of_its_own_kind(hsup: Hsup) -> None:
    favoured = ("sh", "-c", 'ulimit -S -f 100000; exec choom -n 500 -- nice -n 7 "$@"', "sh")
    line = "cat /proc/self/oom_score_adj; nice; ulimit -f"
    assert hsup.call("run", line, prefix=favoured).text == "0\n0\nunlimited\n"


def test_a_file_as_input_is_read_to_its_end_and_cannot_be_written(hsup: Hsup) -> None:
    """Everybody may write to it, and the dyno can open it again by its descriptor."""
    file = hsup.directory / "input"
    content = bytes(range(256)) * 4096
    file.write_bytes(content)
    file.chmod(0o666)
    from_file = into(f"< {file}")
    done = hsup.call("run", "cat; echo changed > /proc/self/fd/0; true", prefix=from_file)
    assert done.out == content
    assert file.read_bytes() == content
    assert hsup.call("run", "head -c 3 < /dev/stdin", prefix=from_file).out == content[:3]


def test_a_directory_as_input_leads_nowhere(hsup: Hsup) -> None:
    done = hsup.call("run", "ls -d /proc/self/fd/0/etc", prefix=into("< /"))
    assert done.status != 0
    assert done.text == ""
