"""Releases from a Procfile with `.env` and `app.json`, and the release phase."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftest.program import Hsup, replace


def test_start_runs_one_dyno_of_every_type(hsup: Hsup) -> None:
    hsup.procfile(worker=hsup.born, clock=hsup.born)
    running = hsup.start()
    running.wait_for(r"app\[worker\.1\]: born$")
    running.wait_for(r"app\[clock\.1\]: born$")
    assert running.stop() == 0
    assert running.count("born$") == 2


def test_a_new_line_of_the_procfile_starts_its_dyno_and_no_other(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    hsup.procfile(one=hsup.born, two=hsup.born)
    running.wait_for(r"app\[two\.1\]: born$")
    assert running.stop() == 0
    assert running.count(r"app\[one\.1\]: born$") == 1


def test_a_line_that_is_gone_stops_its_dyno(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born, two=hsup.born)
    running = hsup.start()
    running.wait_for("born$", count=2)
    hsup.procfile(one=hsup.born)
    running.wait_for(r"heroku\[two\.1\]: Process exited with status 143")
    assert running.stop() == 0
    assert running.count(r"app\[one\.1\]: born$") == 1


def directories_of_releases(hsup: Hsup, *names: str) -> tuple[Path, tuple[str, ...]]:
    """Make directories as a tool that deploys does, with a link to the first; hsup starts there."""
    for name in names:
        (hsup.directory / name).mkdir()
        replace(hsup.directory / name / "name", f"{name}\n")
        replace(hsup.directory / name / "Procfile", f"one: cat name; exec {hsup.sleep}\n")
    current = hsup.directory / "current"
    current.symlink_to(names[0])
    return current, ("sh", "-c", f'cd "{current}" && exec "$@"', "sh")


def test_a_link_that_is_turned_has_the_dynos_started_in_the_new_directory(hsup: Hsup) -> None:
    current, there = directories_of_releases(hsup, "v1", "v2")
    running = hsup.begin("start", prefix=there)
    running.wait_for(r"app\[one\.1\]: v1$")
    (hsup.directory / "next").symlink_to("v2")
    (hsup.directory / "next").rename(current)
    running.wait_for(r"app\[one\.1\]: v2$")
    assert running.stop() == 0


def test_a_directory_that_is_made_again_has_the_dynos_started_in_it(hsup: Hsup) -> None:
    _, there = directories_of_releases(hsup, "v1")
    running = hsup.begin("start", prefix=there)
    running.wait_for(r"app\[one\.1\]: v1$")
    (hsup.directory / "v1").rename(hsup.directory / "old")
    running.wait_for("Cannot fetch a newer release")
    (hsup.directory / "new").mkdir()
    replace(hsup.directory / "new" / "name", "new\n")
    replace(hsup.directory / "new" / "Procfile", f"one: cat name; exec {hsup.sleep}\n")
    (hsup.directory / "new").rename(hsup.directory / "v1")
    running.wait_for(r"app\[one\.1\]: new$")
    assert running.stop() == 0


def test_an_editor_that_writes_in_place_is_followed(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    (hsup.directory / "Procfile").write_text(f"one: echo second; exec {hsup.sleep}\n")
    running.wait_for("second$")


def test_a_changed_dotenv_restarts_every_dyno_with_it(hsup: Hsup) -> None:
    line = f"echo NAME is $NAME; exec {hsup.sleep}"
    hsup.procfile(one=line, two=line)
    replace(hsup.directory / ".env", "NAME=first\n")
    running = hsup.start()
    running.wait_for("NAME is first$", count=2)
    replace(hsup.directory / ".env", "NAME=second\n")
    running.wait_for("NAME is second$", count=2)


def test_a_dotenv_that_appears_later_is_seen(hsup: Hsup) -> None:
    hsup.procfile(one=f"echo NAME is $NAME; exec {hsup.sleep}")
    running = hsup.start()
    running.wait_for(r"app\[one\.1\]: NAME is$")
    replace(hsup.directory / ".env", "NAME=second\n")
    running.wait_for("NAME is second$")


def formation(hsup: Hsup, **quantities: int) -> None:
    sizes = {name: {"quantity": quantity} for name, quantity in quantities.items()}
    replace(hsup.directory / "app.json", json.dumps({"formation": sizes}))


def test_quantities_of_app_json_scale_where_they_are_asked_for(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born, two=hsup.born)
    formation(hsup, one=2, two=1)
    running = hsup.start("--quantities", "release")
    running.wait_for("born$", count=3)
    formation(hsup, one=3, two=0)
    running.wait_for(r"app\[one\.3\]: born$")
    running.wait_for(r"heroku\[two\.1\]: Process exited with status 143")
    assert running.stop() == 0
    assert running.count("born$") == 4


def test_a_quantity_of_zero_in_app_json_is_not_started_by_itself(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born, two=hsup.born)
    formation(hsup, two=0)
    running = hsup.start()
    running.wait_for(r"app\[one\.1\]: born$")
    assert running.stop() == 0
    assert running.count(r"two\.1") == 0


def test_the_release_phase_comes_first(hsup: Hsup) -> None:
    hsup.procfile(web="echo serving $PORT >/dev/null; echo up", release="echo migrating")
    done = hsup.call("start", "--oneshot")
    assert done.status == 0
    assert done.text.index("migrating") < done.text.index("app[web.1]: up")
    assert done.text.count("migrating\n") == 1


def test_a_fault_at_the_start_is_told_as_by_check_before_the_last_good_release_runs(
    hsup: Hsup,
) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    running.stop()
    (hsup.directory / "Procfile").write_text("one\n")
    fault = 'must be "name: command", got "one"'
    again = hsup.start()
    again.wait_for(
        "Release rejected, starting the last good one instead: "
        f"cannot read Procfile: line 1: {fault}"
    )
    again.wait_for("born$")
    assert "still running" not in again.said
    again.stop()
    checked = hsup.call("check")
    assert checked.status == 1
    assert checked.text == f"Procfile: fault: line 1: {fault}\n"
    once = hsup.call("start", "--oneshot")
    assert once.status == 1
    assert f"cannot read Procfile: line 1: {fault}" in once.message


def test_a_release_phase_that_fails_at_the_start_ends_with_its_status(hsup: Hsup) -> None:
    hsup.procfile(web=hsup.born, release="echo migrating; exit 7")
    done = hsup.call("start")
    assert done.status == 7
    assert "migrating" in done.text
    assert "born\n" not in done.text


def test_a_release_phase_that_fails_later_keeps_the_previous_release(hsup: Hsup) -> None:
    line = f"echo NAME is $NAME; exec {hsup.sleep}"
    hsup.procfile(worker=line, release='echo migrating; test "$NAME" != bad || exit 7')
    replace(hsup.directory / ".env", "NAME=good\n")
    running = hsup.start()
    running.wait_for("NAME is good$")
    replace(hsup.directory / ".env", "NAME=bad\n")
    running.wait_for("migrating$", count=2)
    running.wait_for("[Rr]elease.*(fail|reject|keep|status 7)")
    replace(hsup.directory / ".env", "NAME=better\n")
    running.wait_for("NAME is better$")
    assert running.stop() == 0
    assert running.count("NAME is bad") == 0
    assert running.count("NAME is good$") == 1


def test_hsup_can_be_stopped_during_the_release_phase(hsup: Hsup) -> None:
    hsup.procfile(web="echo never", release=f"echo migrating; exec {hsup.sleep}")
    running = hsup.start()
    running.wait_for("migrating$")
    assert running.stop() in {0, 143}
    assert "never\n" not in running.out


def test_a_faulty_procfile_keeps_the_previous_release_running(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    replace(hsup.directory / "Procfile", "\n")
    running.wait_for("Procfile")
    hsup.procfile(one=hsup.born, two=hsup.born)
    running.wait_for(r"app\[two\.1\]: born$")
    assert running.stop() == 0
    assert running.count(r"app\[one\.1\]: born$") == 1


def test_what_the_newer_specification_has_otherwise_is_a_warning(hsup: Hsup) -> None:
    (hsup.directory / "Procfile").write_text("one: echo first\none: echo second\n")
    done = hsup.call("start", "--oneshot")
    assert "one" in done.message + done.text
    assert "line 2" in done.message + done.text


def test_lines_as_people_write_them_are_accepted(hsup: Hsup) -> None:
    text = "# a remark\r\n\r\none:   echo first\r\ntwo:echo second\r\nthree-3_x: echo third"
    (hsup.directory / "Procfile").write_bytes(text.encode())
    done = hsup.call("start", "--oneshot")
    assert done.status == 0
    assert "app[one.1]: first\n" in done.text
    assert "app[two.1]: second\n" in done.text
    assert "app[three-3_x.1]: third\n" in done.text


def test_the_files_that_the_user_names_are_run_and_followed(hsup: Hsup) -> None:
    hsup.procfile(web="echo other")
    hsup.files({"Procfile.dev": f"web: echo $A $B; exec {hsup.sleep}\n", ".env": "A=usual\n"})
    hsup.files({"one.env": "A='it'\\''s'\nB=1\n", "two.env": "B=${A}\n"})
    running = hsup.start("-f", "Procfile.dev", "-e", "one.env,two.env", "--expand-env")
    running.wait_for("it's it's$")
    hsup.files({"two.env": "B=2\n"})
    running.wait_for("it's 2$")
    assert running.stop() == 0


@pytest.mark.parametrize("named", [("-f", "Procfile.dev"), ("-e", "dev.env")], ids=" ".join)
def test_what_ran_does_not_run_without_a_file_that_the_user_names(
    hsup: Hsup, named: tuple[str, str]
) -> None:
    hsup.procfile(web="echo started")
    hsup.files({"Procfile.dev": "web: echo started\n", "dev.env": "A=1\n"})
    running = hsup.start(*named)
    running.wait_for("started$")
    assert running.stop() == 0
    (hsup.directory / named[1]).unlink()
    calls = [hsup.call(*named, *words) for words in (("start",), ("run", "true"), ("check",))]
    for done in calls:
        assert f"cannot read {hsup.directory}/{named[1]}: No such file or directory" in done.message
        assert "started" not in done.text
    assert len({done.status for done in calls}) == 1


def test_a_procfile_above_is_found_and_its_directory_is_run(hsup: Hsup) -> None:
    hsup.procfile(web="echo in $(basename $PWD)")
    (hsup.directory / "lib/sub").mkdir(parents=True)
    below = hsup.another(hsup.directory / "lib/sub")
    done = below.call("start", "--oneshot")
    assert done.status == 0
    assert f"in {'app' if hsup.has_containers else hsup.directory.name}\n" in done.text
