"""What the dynos of `hsup start` find in their environment: DYNO, PORT and config vars."""

from __future__ import annotations

import pytest

from ftest.program import free_port, process

SAY = "echo $DYNO has $PORT"


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_every_dyno_has_a_port_of_its_own(hsup):
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
def test_the_ports_of_a_type_do_not_depend_on_what_else_is_started(hsup):
    hsup.procfile(alpha=SAY, beta=SAY)
    assert "beta.1 has 5100" in hsup.call("start", "--oneshot", "beta").text


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_the_port_of_the_release_is_used_by_its_only_dyno(hsup):
    port = str(free_port())
    hsup.release(Env={"PORT": port}, Processes=[process("web", SAY)])
    assert f"web.1 has {port}" in hsup.call("start", "--oneshot").text


@pytest.mark.simple_only("dynos of other drivers have ports of their own")
def test_the_port_of_the_release_is_not_used_where_two_dynos_would_have_it(hsup):
    port = str(free_port())
    hsup.release(Env={"PORT": port}, Processes=[process("worker", SAY)])
    done = hsup.call("start", "--oneshot", "worker=2")
    assert "worker.1 has 5000" in done.text
    assert "worker.2 has 5001" in done.text
    assert port not in done.text


def test_start_number_is_the_number_of_the_first_dyno(hsup):
    hsup.procfile(worker="echo I am $DYNO")
    done = hsup.call("start", "--oneshot", "--start-number", "5", "worker=2")
    assert "app[worker.5]: I am worker.5" in done.text
    assert "app[worker.6]: I am worker.6" in done.text
    assert "worker.1" not in done.text


def test_config_vars_reach_every_dyno_and_variables_of_hsup_none(hsup):
    hsup.release(
        Env={"NAME": "CONTENTS", "EMPTY": ""},
        Processes=[process("one", "echo $NAME${EMPTY-unset}$SECRET"), process("two", "env")],
    )
    done = hsup.call("start", "--oneshot", env={"SECRET": "s3cret"})
    assert "app[one.1]: CONTENTS\n" in done.text
    assert "app[two.1]: NAME=CONTENTS\n" in done.text
    assert "s3cret" not in done.text
    assert "FTEST_TOKEN" not in done.text


def test_a_command_of_several_words_is_no_line_for_the_shell(hsup):
    hsup.release(Processes=[process("one", "echo", "a  b", "$HOME", "*")])
    assert "app[one.1]: a  b $HOME *\n" in hsup.call("start", "--oneshot").text


def test_the_input_of_a_dyno_is_empty(hsup):
    hsup.procfile(one="cat; echo over")
    assert "app[one.1]: over\n" in hsup.call("start", "--oneshot", stdin=b"not for it\n").text
