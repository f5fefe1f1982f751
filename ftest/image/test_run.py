"""`docker run hsup`: the example, a console, and the exit status."""

from __future__ import annotations

import glob
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ftest.image.engine import Engine
from ftest.program import eventually
from ftest.terminal import Terminal

#: What Docker's default profile leaves a container is too little, whoever is in it.
PLAIN = [(), ("--user", "1000:1000"), ("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN")]


def test_the_example_prints_its_environment(engine: Engine) -> None:
    done = engine.run()
    assert done.status == 0, done
    for line in ("NAME=CONTENTS", "DYNO=printenv.1", "HOME=/app"):
        assert f"app[printenv.1]: {line}\n" in done.text


def test_a_command_runs_as_the_dynos_user(engine: Engine) -> None:
    done = engine.run("run", "id -un; pwd")
    assert (done.text, done.status) == ("dyno\n/app\n", 0), done


@pytest.mark.parametrize(
    ("line", "status"),
    [("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM), ("exec /nowhere", 127)],
)
def test_the_exit_status_is_the_commands(engine: Engine, line: str, status: int) -> None:
    assert engine.run("run", line).status == status


def test_a_command_line_that_makes_no_sense_is_told(engine: Engine) -> None:
    done = engine.run("strat")
    assert done.status == 2
    assert 'there is no command "strat"; did you mean "start"?' in done.message


def test_a_console_is_a_terminal_of_the_window_s_size(terminal: Callable[..., Terminal]) -> None:
    console = terminal("run", "bash", rows=33, columns=111)
    console.wait_for(r"\$ ", timeout=30)
    console.type("stty size\n")
    console.wait_for(r"33 111\r")
    console.resize(40, 120)
    console.type("until [ $COLUMNS = 120 ]; do sleep 0.1; done; stty size\n")
    console.wait_for(r"40 120\r")
    console.type("exit 3\n")
    assert console.ended() == 3


def test_ctrl_c_in_a_console_ends_the_command_only(terminal: Callable[..., Terminal]) -> None:
    console = terminal("run", "bash")
    console.wait_for(r"\$ ", timeout=30)
    command = f"sleep 1000.{os.getpid()}"
    console.type(f"{command}\n")
    # Before it is executed, ^C is bash's, which may leave it as a stopped job.
    assert eventually(lambda: is_running(command))
    console.type("\x03")
    console.wait_for(r"\$ ")
    console.type("echo $((6 * 7))\n")
    console.wait_for(r"42\r")
    console.type("exit\n")
    console.ended()


def is_running(command: str) -> bool:
    wanted = command.replace(" ", "\0").encode() + b"\0"
    return any(wanted == line for line in map(cmdline, glob.glob("/proc/[0-9]*/cmdline")))


def cmdline(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("options", PLAIN)
@pytest.mark.parametrize("words", [(), ("run", "true")])
def test_without_privileges_the_remedy_is_one_line(
    engine: Engine, options: tuple[str, ...], words: tuple[str, str]
) -> None:
    done = engine.run(*words, options=options)
    assert done.status == 1
    (line,) = done.message.splitlines()
    assert line.startswith("hsup: ")
    assert "--privileged" in line
    assert "app[" not in done.text


def test_the_simple_driver_needs_no_privileges(engine: Engine) -> None:
    options = ("--user", "1000:1000", "--cap-drop", "ALL", "--read-only")
    done = engine.run("start", "--oneshot", "-d", "simple", options=options)
    assert done.status == 0, done
    assert "app[printenv.1]: NAME=CONTENTS\n" in done.text
    done = engine.run("run", "-d", "simple", "id -u; exit 7", options=options)
    assert (done.text, done.status) == ("1000\n", 7)


def test_the_doctor_finds_all_that_dynos_need(engine: Engine) -> None:
    done = engine.run("doctor")
    assert done.status == 0, done
    assert "libcontainer:" in done.text


def test_no_control_socket_is_asked_for_without_hsup_control(engine: Engine) -> None:
    line = "ls -d /etc/hsup/containers/sockets; echo ${HSUP_CONTROL_SOCKET-none}"
    done = engine.run("run", "-d", "simple", "--", "sh", "-c", line)
    assert done.text == "/etc/hsup/containers/sockets\nnone\n"


def test_dynos_reach_beyond_the_container(engine: Engine) -> None:
    neighbour = engine.start("run", "-d", "simple", "sleep 1000", options=())
    with socket.create_server((neighbour.gateway, 0)) as server:
        host, port = server.getsockname()
        done = engine.run("run", f": </dev/tcp/{host}/{port} && echo reached")
    assert done.text == "reached\n", done
