"""`hsup start` as a job of a shell: what is typed for the shell reaches no dyno."""

from __future__ import annotations

import re
import shlex
import termios
from collections.abc import Callable, Iterator

import pytest

from ftest.program import Hsup, eventually
from ftest.terminal import Terminal

pytestmark = pytest.mark.simple_only("the streams of a container are no terminals of hsup")

#: Says in a file what it reads.
READER = "while read -r line; do echo $line >> read; echo got $line; done"
#: Prints numbers, and never reads.
COUNTER = "i=0; while sleep 0.01; do i=$((i+1)); echo number $i.; done"


class Shell:
    """An interactive bash, and hsup as its job."""

    def __init__(self, hsup: Hsup, screen: Terminal) -> None:
        self._hsup = hsup
        self.screen = screen
        self.screen.wait_for("ready> ")

    def run(self, line: str, pattern: str) -> re.Match[str]:
        """Type a line, and wait for what comes then."""
        self.screen.type(f"{line}\n")
        return self.screen.wait_for(pattern)

    def start(self, more: str = "") -> None:
        command = shlex.join(self._hsup.words("start", "--stdin", "web"))
        self.run(f"{command}{more}", r"web\.1 +\| reads|web\.1: waiting for the terminal")

    def stop_job(self) -> None:
        self.screen.type("\x1a")
        self.screen.wait_for(r"Stopped.*\n.*ready> ")

    def ended_by(self, keys: str) -> None:
        self.screen.type(keys)
        self.screen.wait_for("(?s)all dynos.*ready> ")


@pytest.fixture
def shell(hsup: Hsup, terminal: Callable[..., Terminal]) -> Iterator[Shell]:
    rc = hsup.directory / "rc"
    rc.write_text("PS1='ready> '; bind 'set enable-bracketed-paste off'\n")
    argv = ["bash", "--rcfile", str(rc), "-i"]
    made = Shell(hsup, terminal(argv=argv, env={"NO_COLOR": "1"}, columns=200))
    yield made
    made.screen.type("\x03\nkill -KILL %1; exit\nexit\n")


def echoes(screen: Terminal) -> bool:
    flags = termios.tcgetattr(screen.master)[3]
    assert isinstance(flags, int)
    return bool(flags & termios.ECHO)


def read(hsup: Hsup) -> list[str]:
    file = hsup.directory / "read"
    return file.read_text().split() if file.exists() else []


def test_what_is_typed_after_a_job_was_stopped_is_for_the_shell(hsup: Hsup, shell: Shell) -> None:
    hsup.procfile(web=f"echo reads; {READER}")
    shell.start()
    shell.run("before", "got before")
    shell.stop_job()
    for number in range(5):
        shell.run(f"echo is$(({number} + 0))", f"\nis{number}\r")
    shell.run("fg", "--stdin web")
    shell.run("after", "got after")
    shell.ended_by("\x03")
    assert read(hsup) == ["before", "after"]


def test_a_dyno_that_reads_is_paused_in_the_background(hsup: Hsup, shell: Shell) -> None:
    hsup.procfile(web=f"echo reads; {READER}")
    shell.start()
    shell.stop_job()
    shell.run("bg", r"web\.1: paused in the background, because it reads the terminal; fg resumes")
    shell.run("echo is$((2 + 3))", "\nis5\r")
    shell.run("fg", "--stdin web")  # which the shell tells nobody: the job runs
    shell.run("after", "got after")
    shell.ended_by("\x03")
    assert read(hsup) == ["after"]


def test_a_job_that_is_started_in_the_background_reads_only_after_fg(
    hsup: Hsup, shell: Shell
) -> None:
    hsup.procfile(web=f"echo reads; {READER}")
    shell.start(" &")
    shell.run("echo is$((2 + 3))", "\nis5\r")
    shell.run("fg", "--stdin web")
    shell.run("after", "got after")
    shell.ended_by("\x03")
    shell.run("stty -a", " icanon .* echo ")
    assert read(hsup) == ["after"]


def test_a_dyno_that_is_paused_obeys_sigterm(hsup: Hsup, shell: Shell) -> None:
    hsup.procfile(web=f"trap 'echo obeys; exit' TERM; echo reads; {READER}")
    shell.start()
    shell.stop_job()
    shell.run("bg", r"web\.1: paused in the background")
    shell.run("kill %1; wait", "obeys")
    shell.screen.wait_for("Done")


def test_a_dyno_that_waits_for_the_terminal_is_not_waited_for(hsup: Hsup, shell: Shell) -> None:
    hsup.procfile(web=f"echo reads; {READER}")
    shell.start(" &")
    shell.run("kill %1; wait", "Done")


def test_a_dyno_that_is_restarted_in_the_background_waits_for_the_terminal(
    hsup: Hsup, shell: Shell
) -> None:
    hsup.procfile(web=f"echo $$ > pid; echo reads; {READER}")
    shell.start()
    shell.stop_job()
    shell.run("bg", r"web\.1: paused in the background")
    shell.run("kill -KILL $(<pid)", r"web\.1: waiting for the terminal")
    shell.run("echo is$((2 + 3))", "\nis5\r")
    shell.run("fg", "--stdin web")
    shell.run("after", "got after")
    shell.ended_by("\x03")
    assert read(hsup) == ["after"]


def test_the_shell_and_the_dyno_each_have_their_modes(hsup: Hsup, shell: Shell) -> None:
    hsup.procfile(web=f"stty -echo -icanon; echo reads; {READER}")
    shell.start()
    assert not echoes(shell.screen)
    shell.stop_job()
    shell.run("stty -a", " icanon .* echo ")
    shell.run("fg", "--stdin web")
    assert eventually(lambda: not echoes(shell.screen))
    shell.run("after", "got after")
    shell.ended_by("\x03")
    shell.run("stty -a", " icanon .* echo ")


def test_all_lines_of_other_dynos_are_printed_after_fg(hsup: Hsup, shell: Shell) -> None:
    hsup.procfile(web=f"echo reads; {READER}", other=COUNTER)
    shell.start()
    seen = [int(shell.screen.wait_for(r"number (\d+)\.")[1])]
    shell.screen.type("\x1a")
    while True:
        found = shell.screen.wait_for(r"number (\d+)\.|ready> ")
        if found[1] is None:
            break
        seen.append(int(found[1]))
    shell.run("sleep 1; echo is$((2 + 3))", "\nis5\r")
    shell.run("fg", "--stdin web")
    seen += [int(shell.screen.wait_for(r"number (\d+)\.")[1]) for _ in range(150)]
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    shell.ended_by("\x03")
