"""Releases from the control directory: `new` becomes `loaded`, or `rejected` and `last_error`."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest

from ftest.program import PATIENCE, STACK, Hsup, Running, eventually, process, replace, touched

#: The example of the Go program's README, to the letter.
README_EXAMPLE = """{
    "Version": 1,
    "Env": {
        "NAME": "CONTENTS"
    },
    "Slug": "sample-slug.tgz",
    "Stack": "cedar-14",
    "Processes": [
        {
            "Args": [
                "./web-server",
                "arg"
            ],
            "Quantity": 2,
            "Type": "web"
        },
        {
            "Args": [
                "./worker",
                "arg"
            ],
            "Quantity": 2,
            "Type": "worker"
        }
    ]
}
"""

#: What hsup says when it has read a release.
RECEIVED = r"app\[api\]: Release v\d+ created$"


def one(hsup: Hsup, **changed: object) -> dict[str, object]:
    return {"Processes": [process("one", hsup.born)], **changed}


def names(hsup: Hsup) -> set[str]:
    return {path.name for path in hsup.control.iterdir() if not path.name.startswith(".")}


def test_the_example_of_the_old_manual_works_to_the_letter(hsup: Hsup) -> None:
    hsup.control.mkdir()
    hsup.slug("sample-slug.tgz", {"web-server": "", "worker": ""})
    (hsup.control / "new").write_text(README_EXAMPLE)
    done = hsup.call("run", "/usr/bin/printenv", env={"HSUP_CONTROL_DIR": str(hsup.control)})
    assert done.status == 0
    assert "NAME=CONTENTS\n" in done.text
    assert names(hsup) == {"loaded"}
    assert json.loads((hsup.control / "loaded").read_text()) == json.loads(README_EXAMPLE)


def test_a_cold_start_reads_loaded(hsup: Hsup) -> None:
    hsup.release(Env={"NAME": "kept"}, **one(hsup))
    assert hsup.call("run", "echo $NAME").text == "kept\n"
    assert names(hsup) == {"loaded"}
    assert hsup.call("run", "echo $NAME").text == "kept\n"


def test_a_relative_control_directory_is_of_the_current_directory(hsup: Hsup) -> None:
    hsup.release(Env={"NAME": "kept"}, **one(hsup))
    done = hsup.call("run", "echo $NAME", env={"HSUP_CONTROL_DIR": "control"})
    assert done.text == "kept\n"


def test_a_new_release_is_picked_up_in_under_a_second(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    running = hsup.start()
    running.wait_for("born$")
    delays = []
    for text in ("second", "third", "fourth"):
        before = time.time()
        hsup.release(Processes=[process("one", f"echo {text}; exec {hsup.sleep}")])
        running.wait_for(f"{text}$")
        delays.append(running.times(RECEIVED)[-1] - before)
    assert min(delays) < 1.0 * PATIENCE, delays  # a disk may be slow now and then
    assert names(hsup) == {"loaded"}
    assert "fourth" in (hsup.control / "loaded").read_text()


def test_a_faulty_release_is_rejected_and_the_running_one_goes_on(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    running = hsup.start()
    running.wait_for("born$")
    good = (hsup.control / "loaded").read_text()
    faulty = json.dumps({"Version": 2, "Processes": [process("one", "true", quantity=-3)]})
    replace(hsup.control / "new", faulty)
    running.wait_for("-3")
    assert eventually(lambda: names(hsup) == {"loaded", "rejected", "last_error"})
    assert (hsup.control / "rejected").read_text() == faulty
    assert (hsup.control / "loaded").read_text() == good
    error = (hsup.control / "last_error").read_text()
    assert "Quantity" in error
    assert "-3" in error
    assert running.stop() == 0
    assert running.count("born$") == 1


def test_a_later_good_release_clears_the_error(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    running = hsup.start()
    running.wait_for("born$")
    replace(hsup.control / "new", "{")
    assert eventually(lambda: "last_error" in names(hsup))
    hsup.release(Processes=[process("one", f"echo second; exec {hsup.sleep}")])
    running.wait_for("second")
    assert eventually(lambda: names(hsup) == {"loaded"})


def test_a_faulty_release_at_the_start_leaves_the_loaded_one_running(hsup: Hsup) -> None:
    hsup.release(**one(hsup, Env={"NAME": "kept"}))
    assert hsup.call("run", "true").status == 0
    replace(hsup.control / "new", '{"Version": "two"}')
    done = hsup.call("run", "echo $NAME")
    assert (done.text, done.status) == ("kept\n", 0)
    assert "Version" in done.message
    assert names(hsup) == {"loaded", "rejected", "last_error"}


def test_a_faulty_release_with_none_before_it_is_an_error(hsup: Hsup) -> None:
    hsup.release(Processes="web")
    done = hsup.call("run", "true")
    assert done.status == 1
    assert "Processes" in done.message
    assert names(hsup) == {"rejected", "last_error"}


def test_start_waits_for_the_first_release(hsup: Hsup) -> None:
    hsup.control.mkdir()
    hsup.environ["HSUP_CONTROL_DIR"] = str(hsup.control)
    running = hsup.start()
    running.wait_for("release|control|waiting")
    hsup.release(**one(hsup))
    running.wait_for("born$")
    assert running.stop() == 0


def test_run_without_any_release_says_where_it_was_looked_for(hsup: Hsup) -> None:
    hsup.control.mkdir()
    done = hsup.call("run", "true", env={"HSUP_CONTROL_DIR": str(hsup.control)})
    assert done.status == 1
    assert str(hsup.control) in done.message


def test_a_slow_writer_is_never_read_half(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    running = hsup.start()
    running.wait_for("born$")
    write_slowly(hsup, running)
    closed = time.time()
    running.wait_for("second")
    assert running.times(RECEIVED)[1] - closed < 5.0 * PATIENCE
    assert eventually(lambda: names(hsup) == {"loaded"})
    assert "reject" not in running.said


def test_a_slow_writer_that_began_before_hsup_is_never_read_half(hsup: Hsup) -> None:
    hsup.control.mkdir()
    hsup.environ["HSUP_CONTROL_DIR"] = str(hsup.control)
    running = write_slowly(hsup, None)
    running.wait_for("second")
    assert eventually(lambda: names(hsup) == {"loaded"})
    assert "reject" not in running.said


def write_slowly(hsup: Hsup, running: Running | None) -> Running:
    """Write `new` in pieces over half a second; start hsup at a third where it does not run."""
    command = f"echo second; exec {hsup.sleep}"
    text = json.dumps({"Version": 2, "Processes": [process("one", command)]})
    with (hsup.control / "new").open("w") as file:
        for at in range(0, len(text), 10):
            file.write(text[at : at + 10])
            file.flush()
            time.sleep(0.05)  # the writer is slow: that is the case
            if at >= len(text) // 3 and running is None:
                running = hsup.start()
    assert running
    return running


def test_a_shell_may_write_the_file_in_place(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    running = hsup.start()
    running.wait_for("born$")
    for number in range(5):
        text = json.dumps({"Version": 2 + number, **one(hsup, Env={"N": str(number)})})
        (hsup.control / "new").write_text(text + "\n")
        running.wait_for("born$", count=2 + number)
    assert names(hsup) == {"loaded"}
    assert running.stop() == 0


def test_a_version_by_itself_restarts_nothing(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    running = hsup.start()
    running.wait_for("born$")
    hsup.release(Version=2, **one(hsup))
    assert eventually(lambda: '"Version": 2' in (hsup.control / "loaded").read_text())
    hsup.release(Version=3, Processes=[process("one", hsup.born), process("two", hsup.born)])
    running.wait_for(r"app\[two\.1\]: born")
    assert running.count(r"app\[one\.1\]: born") == 1


def test_an_unknown_key_is_a_warning_that_names_the_nearest_known_one(hsup: Hsup) -> None:
    hsup.release(Enviroment={}, Stak="cedar-14", **one(hsup))
    done = hsup.call("run", "echo fine")
    assert (done.text, done.status) == ("fine\n", 0)
    assert "Stak" in done.message
    assert "Stack" in done.message.replace("Stak", "", 1)


@pytest.mark.parametrize("changed", [{"Env": {"A": "1"}}, {"Stack": STACK}])
def test_changed_config_or_stack_restarts_every_dyno(hsup: Hsup, changed: dict[str, Any]) -> None:
    processes = [process("one", hsup.born), process("two", hsup.born)]
    hsup.release(Processes=processes)
    running = hsup.start()
    running.wait_for("born$", count=2)
    hsup.release(Version=2, Processes=processes, **changed)
    running.wait_for(r"app\[one\.1\]: born", count=2)
    running.wait_for(r"app\[two\.1\]: born", count=2)


def test_hsup_that_was_killed_goes_on_with_the_loaded_release(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    first = hsup.start()
    first.wait_for("born$")
    first.child.kill()
    first.child.wait()
    second = hsup.start()
    second.wait_for("born$")
    assert second.stop() == 0


def test_a_missing_control_directory_is_named(hsup: Hsup) -> None:
    missing = str(hsup.directory / "missing")
    done = hsup.call("run", "true", env={"HSUP_CONTROL_DIR": missing})
    assert done.status == 1
    assert missing in done.message
    assert done.message.startswith("hsup: ")


def test_a_control_directory_that_is_a_file_is_named(hsup: Hsup) -> None:
    (hsup.directory / "file").touch()
    done = hsup.call("run", "true", env={"HSUP_CONTROL_DIR": str(hsup.directory / "file")})
    assert done.status == 1
    assert "file" in done.message
    assert "Traceback" not in done.message


def test_a_directory_named_new_is_named(hsup: Hsup) -> None:
    (hsup.control / "new").mkdir(parents=True)
    done = hsup.call("run", "true", env={"HSUP_CONTROL_DIR": str(hsup.control)})
    assert done.status == 1
    assert "new" in done.message
    assert "Traceback" not in done.message


def test_sighup_asks_the_source_again(hsup: Hsup) -> None:
    """The directory behind a link is exchanged, which no watch on the directory reports."""
    for name in ("a", "b"):
        (hsup.directory / name).mkdir()
        release = {"Version": 1, "Processes": [process("one", f"echo {name}; exec {hsup.sleep}")]}
        replace(hsup.directory / name / "new", json.dumps(release))
    hsup.control.symlink_to("a")
    hsup.environ["HSUP_CONTROL_DIR"] = str(hsup.control)
    running = hsup.start()
    running.wait_for(r"one\.1\]: a$")
    hsup.control.unlink()
    hsup.control.symlink_to("b")
    sent = time.time()
    running.send(1)
    running.wait_for(r"one\.1\]: b$")
    assert running.times(RECEIVED)[1] - sent < 5.0  # it is looked at every 10 s anyway


UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def test_a_read_only_control_directory_is_named_and_nothing_is_lost(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    hsup.control.chmod(0o500)
    try:
        done = hsup.call("run", "true", prefix=UNPRIVILEGED)
    finally:
        hsup.control.chmod(0o700)
    assert names(hsup) == {"new"}
    assert str(hsup.control) in done.message
    assert "Traceback" not in done.message


def test_an_unreadable_control_directory_is_named(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    hsup.control.chmod(0)
    try:
        done = hsup.call("run", "true", prefix=UNPRIVILEGED)
    finally:
        hsup.control.chmod(0o700)
    assert done.status == 1
    assert str(hsup.control) in done.message
    assert "ermission" in done.message


@pytest.mark.simple_only("no file of any size can be written, of which other drivers need some")
def test_a_full_disk_while_persisting_is_told_and_nothing_is_lost(hsup: Hsup) -> None:
    hsup.release(**one(hsup))
    running = hsup.begin("start", prefix=("prlimit", "--fsize=0"))
    running.wait_for("loaded|File too large|persist|write")
    assert "new" in names(hsup)
    assert (hsup.control / "new").stat().st_size
    assert "Traceback" not in running.said


class TestWhatRanYesterday:
    """v1 runs, and hsup ends while v2 is not able to run: the next hsup has v1 run again."""

    def release(self, hsup: Hsup, version: int, phase: str) -> None:
        hsup.release(
            Version=version,
            Processes=[process("one", f"echo v{version}; {hsup.born}"), process("release", phase)],
        )

    def start_again(self, hsup: Hsup) -> Running:
        running = hsup.start("one")
        running.wait_for("born$")
        assert running.count(r"v1$") == 1
        assert running.count("phase of 1") == 0
        assert running.count(r"v2$") == 0
        return running

    def test_it_runs_again_without_its_release_phase(self, hsup: Hsup) -> None:
        self.release(hsup, 1, "echo phase of 1")
        running = hsup.start("one")
        running.wait_for("born$")
        assert running.count("phase of 1$") == 1
        assert running.stop() == 0
        assert self.start_again(hsup).stop() == 0

    def test_it_runs_again_after_a_release_phase_that_failed(self, hsup: Hsup) -> None:
        self.release(hsup, 1, "echo phase of 1")
        running = hsup.start("one")
        running.wait_for("born$")
        self.release(hsup, 2, "exit 3")
        running.wait_for("Release rejected, .*v1: .*status 3")
        assert running.stop() == 0
        again = self.start_again(hsup)
        assert again.count("Release rejected, starting .*status 3") == 1
        assert again.stop() == 0

    def test_it_runs_again_after_a_kill_in_a_release_phase(self, hsup: Hsup) -> None:
        self.release(hsup, 1, "echo phase of 1")
        running = hsup.start("one")
        running.wait_for("born$")
        self.release(hsup, 2, f"echo phase of 2; {hsup.sleep}")
        running.wait_for("phase of 2$")
        running.stop(signal.SIGKILL)
        self.release(hsup, 2, "exit 3")
        again = hsup.start("one")
        again.wait_for("Release rejected, starting .*status 3")
        again.wait_for(r"\[one\.1\]: State changed from starting to up")  # docker's is adopted
        assert again.count("v2$") == again.count("phase of 1$") == 0
        assert again.stop() == 0

    def test_it_runs_again_where_loaded_is_broken(self, hsup: Hsup) -> None:
        self.release(hsup, 1, "echo phase of 1")
        running = hsup.start("one")
        running.wait_for("born$")
        assert running.stop() == 0
        (hsup.control / "loaded").write_text("{")
        again = self.start_again(hsup)
        again.wait_for('cannot read control file "loaded"')
        assert again.stop() == 0


def test_a_slug_that_was_replaced_meanwhile_is_not_run_for_the_one_before(hsup: Hsup) -> None:
    if not hsup.has_containers:
        pytest.skip("the simple driver runs no slugs")
    hsup.release(Version=1, Slug="slug.tgz", Processes=[process("one", f"cat code; {hsup.born}")])
    with touched(hsup.slug("slug.tgz", {"code": "old"})):
        running = hsup.start()
        running.wait_for("born$")
    hsup.slug("slug.tgz", {"code": "new"})
    release = process("release", "exit 3")
    hsup.release(Version=2, Slug="slug.tgz", Processes=[process("one", "cat code"), release])
    running.wait_for("Release rejected, .*v1: ")
    assert running.stop() == 0
    again = hsup.start()
    again.wait_for("born$")
    assert again.count(r"old") == 1
    assert again.count(r"new") == 0
    assert again.stop() == 0
