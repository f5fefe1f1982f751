"""Which dynos `hsup start` runs, and what a new release changes of them."""

from __future__ import annotations

import pytest

from ftest.program import Hsup, Running, eventually, process


def born(running: Running, dyno: str) -> int:
    return running.count(rf"app\[{dyno}\]: born$".replace(".", r"\.", 1))


def test_one_dyno_of_each_type_with_a_quantity_above_zero(hsup: Hsup) -> None:
    hsup.release(
        Processes=[
            process("one", hsup.born, quantity=3),
            process("none", hsup.born, quantity=0),
            process("two", hsup.born),
        ]
    )
    running = hsup.start()
    running.wait_for(r"app\[one\.1\]: born$")
    running.wait_for(r"app\[two\.1\]: born$")
    assert running.stop() == 0
    assert running.count("born$") == 2


def test_types_and_numbers_on_the_command_line_are_what_runs(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born, two=hsup.born, three=hsup.born)
    running = hsup.start("one=2", "two")
    running.wait_for("born$", count=3)
    assert running.stop() == 0
    assert (born(running, "one.1"), born(running, "one.2"), born(running, "two.1")) == (1, 1, 1)
    assert running.count("born$") == 3


def test_a_type_asked_for_runs_though_its_quantity_is_zero(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", "echo done", quantity=0)])
    assert "app[one.1]: done\n" in hsup.call("start", "--oneshot", "one").text


def test_an_unknown_type_is_an_error_that_lists_the_known(hsup: Hsup) -> None:
    hsup.procfile(alpha="true", beta="true")
    done = hsup.call("start", "gamma=2")
    assert done.status in {1, 2}
    assert done.message.startswith("hsup: ")
    for name in ("gamma", "alpha", "beta"):
        assert name in done.message


@pytest.mark.parametrize("word", ["alpha=", "alpha=x", "alpha=-1", "alpha=1.5", "=1"])
def test_a_faulty_quantity_on_the_command_line_is_a_usage_error(hsup: Hsup, word: str) -> None:
    hsup.procfile(alpha="true")
    done = hsup.call("start", word)
    assert done.status == 2
    assert word in done.message


def test_a_changed_quantity_scales_and_touches_no_other(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born, quantity=2), process("two", hsup.born)])
    running = hsup.start("--quantities", "release")
    running.wait_for("born$", count=3)
    hsup.release(Processes=[process("one", hsup.born, quantity=4), process("two", hsup.born)])
    running.wait_for("born$", count=5)
    hsup.release(Processes=[process("one", hsup.born, quantity=1), process("two", hsup.born)])
    running.wait_for(r"heroku\[one\.[234]\]: Process exited with status 143", count=3)
    assert running.count(r"heroku\[(one\.1|two\.1)\]: Stopping") == 0
    assert running.stop() == 0
    assert running.count("born$") == 5


def test_scaling_to_nothing_and_back(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born), process("two", hsup.born)])
    running = hsup.start("--quantities", "release")
    running.wait_for("born$", count=2)
    hsup.release(Processes=[process("one", hsup.born, quantity=0), process("two", hsup.born)])
    running.wait_for(r"heroku\[one\.1\]: Process exited with status 143")
    hsup.release(Processes=[process("one", hsup.born), process("two", hsup.born)])
    running.wait_for(r"app\[one\.1\]: born$", count=2)
    assert born(running, "two.1") == 1


def test_a_changed_command_restarts_its_type_only(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born), process("two", hsup.born)])
    running = hsup.start()
    running.wait_for("born$", count=2)
    changed = process("one", f"echo reborn; exec {hsup.sleep}")
    hsup.release(Processes=[changed, process("two", hsup.born)])
    running.wait_for(r"app\[one\.1\]: reborn$")
    assert running.stop() == 0
    assert born(running, "two.1") == 1


def test_a_type_that_appears_or_disappears_touches_no_other(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born)])
    running = hsup.start()
    running.wait_for("born$")
    hsup.release(Processes=[process("one", hsup.born), process("two", hsup.born)])
    running.wait_for(r"app\[two\.1\]: born$")
    hsup.release(Processes=[process("two", hsup.born)])
    running.wait_for(r"heroku\[one\.1\]: Process exited with status 143")
    assert running.stop() == 0
    assert (born(running, "one.1"), born(running, "two.1")) == (1, 1)


def test_many_releases_at_once_end_with_the_last(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born)])
    running = hsup.start()
    running.wait_for("born$")
    for number in range(30):
        line = f"echo number {number}; exec {hsup.sleep}"
        hsup.release(Version=number, Processes=[process("one", line)])
    running.wait_for("number 29$")
    assert running.stop() == 0
    assert running.count("number 29$") == 1


def test_hsup_ends_when_nothing_is_left_to_run(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born, quantity=0)])
    done = hsup.call("start")
    assert done.status == 0


def test_hsup_stays_without_dynos_where_it_is_told_to(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born, quantity=0)])
    running = hsup.start("--stay")
    assert eventually((hsup.control / "loaded").exists)
    assert not eventually(lambda: running.child.poll() is not None, 0.3)
    hsup.release(Processes=[process("one", hsup.born, quantity=1)])
    running.wait_for(r"app\[one\.1\]: born$")
    assert running.stop() == 0


def test_thirty_dynos_of_a_type_run_and_stop(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start("one=30")
    running.wait_for("born$", count=30)
    assert running.stop() == 0
    assert running.count("Process exited with status 143") == 30
