"""What the dynos of `hsup start` find in their environment: DYNO, PORT and config vars."""

from __future__ import annotations

import os
import re
import signal
import socket

import pytest

from ftest.program import Hsup, Running, free_port, process

SAY = "echo $DYNO has $PORT"


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_every_dyno_has_a_port_of_its_own(hsup: Hsup) -> None:
    hsup.procfile(alpha=SAY, beta=SAY, gamma=SAY)
    done = hsup.call("start", "--oneshot", "alpha=2", "gamma=2", "beta=1")
    assert done.status == 0
    for expected in [
        "alpha.1 has 5000",
        "alpha.2 has 5001",
        "beta.1 has 5100",
        "gamma.1 has 5200",
        "gamma.2 has 5201",
    ]:
        assert expected in done.text


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_the_ports_of_a_type_do_not_depend_on_what_else_is_started(hsup: Hsup) -> None:
    hsup.procfile(alpha=SAY, beta=SAY)
    assert "beta.1 has 5100" in hsup.call("start", "--oneshot", "beta").text


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_ports_count_from_the_port_of_the_release(hsup: Hsup) -> None:
    port = free_port()
    hsup.release(Env={"PORT": str(port)}, Processes=[process("web", SAY), process("worker", SAY)])
    done = hsup.call("start", "--oneshot", "web=2", "worker=1")
    for expected in (f"web.1 has {port}", f"web.2 has {port + 1}", f"worker.1 has {port + 100}"):
        assert expected in done.text
    assert f"run has {port}\n" in hsup.call("run", "echo run has $PORT").text


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_ports_count_from_what_the_user_asks_for(hsup: Hsup) -> None:
    hsup.release(Env={"PORT": "4000"}, Processes=[process("web", SAY), process("worker", SAY)])
    done = hsup.call("start", "--oneshot", "-p", "7000", "-m", "all=1,web=2")
    for expected in ("web.1 has 7000", "web.2 has 7001", "worker.1 has 7100"):
        assert expected in done.text
    assert hsup.call("run", "-p", "7000", "echo $PORT").text == "7000\n"


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_of_a_port_that_is_taken_hsup_tells_who_has_it_and_what_is_free(hsup: Hsup) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        hsup.procfile(web=SAY)
        done = hsup.call("start", "--oneshot", "-p", str(port))
        assert f"web.1 has {port}\n" in done.text
        (free,) = re.findall(r"choose free ports with -p (\d+), or -p auto", done.text)
        assert f"port {port} of web.1 is taken by " in done.text
        assert f"(pid {os.getpid()})" in done.text
        (hsup.directory / ".env").write_text(f"PORT={port}\n")
        assert f"web.1 has {free}\n" in hsup.call("start", "--oneshot", "-p", "auto").text


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_hsups_that_start_at_once_choose_different_ports(hsup: Hsup) -> None:
    hsup.procfile(web=f"echo web has $PORT; exec {hsup.sleep}", worker=hsup.born)
    base = free_port() // 500 * 500
    (hsup.directory / ".env").write_text(f"PORT={base}\n")
    hsups = [hsup.start("-p", "auto") for _ in range(4)]
    ports = [_port_of(one) for one in hsups]
    assert len(set(ports)) == len(hsups)
    assert all(port % 500 == 0 for port in ports)
    first = min(zip(ports, hsups, strict=True), key=lambda one: one[0])
    first[1].send(signal.SIGKILL)
    first[1].ended()
    assert _port_of(hsup.start("-p", "auto")) == first[0]


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_ports_that_another_hsup_uses_are_not_chosen_before_it_has_opened_them(hsup: Hsup) -> None:
    hsup.procfile(web=f"echo web has $PORT; exec {hsup.sleep}")
    base = str(free_port() // 500 * 500)
    (hsup.directory / ".env").write_text(f"PORT={base}\n")
    assert _port_of(hsup.start()) == int(base)
    assert _port_of(hsup.start("-p", "auto")) > int(base)


def _port_of(running: Running) -> int:
    """Return the port that web.1 has."""
    (line,) = running.wait_for(r"web has \d+$")
    return int(line.split()[-1])


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_who_takes_a_port_while_its_dyno_runs_is_told_at_the_next_start(hsup: Hsup) -> None:
    port = free_port()
    hsup.procfile(web="echo born; read -r line < go; exit 3")
    os.mkfifo(hsup.directory / "go")
    running = hsup.start("-p", str(port))
    running.wait_for("born$")
    with socket.create_server(("127.0.0.1", port)):
        (hsup.directory / "go").write_text("now\n")
        running.wait_for(rf"Warning: port {port} is taken by .* \(pid {os.getpid()}\)$")
        running.wait_for("born$", count=2)


def test_a_port_that_is_none_is_refused_by_check_and_start_alike(hsup: Hsup) -> None:
    hsup.procfile(web=SAY)
    (hsup.directory / ".env").write_text("PORT=http\n")
    said = 'line 1: "PORT" must be a number from 1 to 65535'
    for command in ("check", "start"):
        done = hsup.call(command)
        assert done.status == 1
        assert said in done.text + done.message


def test_start_number_is_the_number_of_the_first_dyno(hsup: Hsup) -> None:
    hsup.procfile(worker="echo I am $DYNO")
    done = hsup.call("start", "--oneshot", "--start-number", "5", "worker=2")
    assert "app[worker.5]: I am worker.5" in done.text
    assert "app[worker.6]: I am worker.6" in done.text
    assert "worker.1" not in done.text


def test_config_vars_reach_every_dyno_and_variables_of_hsup_none(hsup: Hsup) -> None:
    hsup.release(
        Env={"NAME": "CONTENTS", "EMPTY": ""},
        Processes=[process("one", "echo $NAME${EMPTY-unset}$SECRET"), process("two", "env")],
    )
    done = hsup.call("start", "--oneshot", env={"SECRET": "s3cret"})
    assert "app[one.1]: CONTENTS\n" in done.text
    assert "app[two.1]: NAME=CONTENTS\n" in done.text
    assert "s3cret" not in done.text
    assert "FTEST_TOKEN" not in done.text


def test_a_command_of_several_words_is_no_line_for_the_shell(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", "echo", "a  b", "$HOME", "*")])
    assert "app[one.1]: a  b $HOME *\n" in hsup.call("start", "--oneshot").text


def test_the_input_of_a_dyno_is_empty(hsup: Hsup) -> None:
    hsup.procfile(one="cat; echo over")
    assert "app[one.1]: over\n" in hsup.call("start", "--oneshot", stdin=b"not for it\n").text


def test_a_locale_that_nobody_set_does_not_reach_dynos(hsup: Hsup) -> None:
    hsup.procfile(one="env")
    without = ("env", "-u", "LANG", "-u", "LC_ALL", "-u", "LC_CTYPE")
    assert "LC_CTYPE" not in hsup.call("run", "--", "env", prefix=without).text
    assert "LC_CTYPE" not in hsup.call("start", "--oneshot", prefix=without).text


@pytest.mark.simple_only("dynos of other drivers have the release's locale")
def test_a_locale_that_the_user_set_reaches_dynos(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    for value in ("C", "C.UTF-8"):
        env = {"LANG": "", "LC_CTYPE": value}
        assert f"LC_CTYPE={value}\n" in hsup.call("run", "--", "env", env=env).text


@pytest.mark.parametrize(
    "env", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_procfile_and_a_dotenv_are_utf_8_whatever_the_locale(
    hsup: Hsup, env: dict[str, str]
) -> None:
    hsup.procfile(one="echo é $NAME")
    (hsup.directory / ".env").write_text("NAME=ünï\n")
    expected = "é ünï\n"
    assert hsup.call("run", "one", env=env).out.decode() == expected
    assert f"app[one.1]: {expected}" in hsup.call("start", "--oneshot", env=env).out.decode()
    if hsup.driver == "docker":  # an engine is told in JSON, which has no other encoding
        return
    # What is typed in another encoding stays as it is.
    argv = ["run", "--", "printf", b"\xfc".decode(errors="surrogateescape")]
    assert hsup.call(*argv, env=env).out == b"\xfc"


@pytest.mark.simple_only("other drivers run the slug")
def test_that_the_slug_is_not_run_is_said_once_on_standard_error(hsup: Hsup) -> None:
    hsup.release(Slug="nosuch.tgz", Processes=[process("one", "echo on"), process("two", "true")])
    told = 'hsup: driver "simple" does not run the slug of v1 of .*-d libcontainer or -d docker'
    done = hsup.call("run", "--", "echo", "hello")
    assert (done.text, done.status, done.message.count("\n")) == ("hello\n", 0, 1)
    assert re.match(told, done.message)
    running = hsup.start()
    running.wait_for("app.*: on")
    hsup.release(Version=2, Slug="nosuch.tgz", Processes=[process("one", "echo second")])
    running.wait_for("app.*: second")
    assert running.stop() == 0
    assert len(re.findall(told, running.err)) == 1


@pytest.mark.simple_only("other drivers run the slug")
def test_nothing_is_said_of_the_directory_of_a_procfile(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    assert hsup.call("run", "--", "true").message == ""
