"""Faulty control files and Procfiles: each ends in a message that names the thing."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from ftest.program import PATIENCE, Hsup, eventually, process, replace


def release(**content: object) -> str:
    return json.dumps({"Version": 1, "Processes": [process("one", "true")], **content})


#: What is put into `new`, and what the message must have in it.
FAULTY: dict[str, tuple[bytes | str, list[str]]] = {
    "empty": ("", ["new"]),
    "no JSON": ("{nonsense", ["line 1"]),
    "half a release": (release()[:-4], ["line 1"]),
    "no object": ("[1, 2]", ["object"]),
    "not UTF-8": (b'{"Version": 1, "Env": {"A": "\xff\xfe"}}', ["UTF-8"]),
    "processes of another kind": (release(Processes={"web": 1}), ["Processes"]),
    "duplicate types": (
        release(Processes=[process("web", "true"), process("web", "false")]),
        ["web", "unique|again"],
    ),
    "a negative quantity": (
        release(Processes=[process("web", "true", quantity=-1)]),
        ["Quantity", "web", "-1"],
    ),
    "a fractional quantity": (
        release(Processes=[process("web", "true", quantity=1.5)]),
        ["Quantity", "web", r"1\.5"],
    ),
    "a quantity of words": (
        release(Processes=[process("web", "true", quantity="two")]),
        ["Quantity", "web", "two"],
    ),
    "a quantity that is true": (
        release(Processes=[process("web", "true", quantity=True)]),
        ["Quantity", "web", "true"],
    ),
    "no arguments": (release(Processes=[process("web")]), ["Args", "web"]),
    "arguments of another kind": (
        release(Processes=[{"Type": "web", "Args": "true", "Quantity": 1}]),
        ["Args", "web"],
    ),
    "a number as config value": (release(Env={"LIMIT": 12}), ["LIMIT", "string"]),
    "null as config value": (release(Env={"LIMIT": None}), ["LIMIT", "null"]),
    "config of another kind": (release(Env=["A=1"]), ["Env"]),
    "a NUL in a config value": (release(Env={"SECRET": "a\0b"}), ["SECRET", "NUL"]),
    "a NUL in an argument": (release(Processes=[process("web", "echo", "a\0b")]), ["web", "NUL"]),
    "a config name with an equals sign": (release(Env={"A=B": "1"}), ["A=B"]),
    "an empty config name": (release(Env={"": "1"}), ["Env"]),
    "a type that is a path": (release(Processes=[process("../x", "true")]), [r"\.\./x"]),
    "a type of nothing": (release(Processes=[process("", "true")]), ["Type"]),
    "a type of another kind": (release(Processes=[process(7, "true")]), ["Type", "7"]),
    "a version of words": (release(Version="two"), ["Version", "two"]),
    "nesting without end": ('{"Version": ' + "[" * 100_000, ["new"]),
}
BY_NAME = pytest.mark.parametrize("case", FAULTY)


def write(path: Path, content: bytes | str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@BY_NAME
def test_check_names_what_is_wrong_with_a_control_file(hsup: Hsup, case: str) -> None:
    content, expected = FAULTY[case]
    write(hsup.directory / "new", content)
    done = hsup.call("check", "new")
    said = done.text + done.message
    assert done.status == 1
    assert "Traceback" not in said
    assert_tells(said, ["new", *expected])


def test_no_faulty_release_disturbs_the_running_one(hsup: Hsup) -> None:
    hsup.release(Processes=[process("steady", hsup.born)])
    running = hsup.start()
    before = hsup.sleepers()
    for case, (content, expected) in FAULTY.items():
        write(hsup.control / "written", content)
        (hsup.control / "written").rename(hsup.control / "new")
        error = hsup.control / "last_error"
        assert eventually(error.exists), f"{case}: not rejected\n{running.said[-2000:]}"
        assert_tells(error.read_text(), expected)
        error.unlink()
    assert hsup.sleepers() == before
    assert running.stop() == 0
    assert running.count("born$") == 1
    assert "Traceback" not in running.said


def assert_tells(text: str, expected: Iterable[str]) -> None:
    __tracebackhide__ = True
    for pattern in expected:
        assert re.search(pattern, text), f"no {pattern} in: {text}"


def test_a_hundred_megabytes_are_refused_without_being_read(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", "true")])
    with (hsup.control / "new").open("ab") as file:
        file.truncate(100_000_000)
    done = hsup.call("run", "true")
    assert done.status == 1
    assert "new" in done.message
    assert len(done.message) < 1000
    assert (hsup.control / "rejected").exists()


def test_check_prints_every_fault_with_its_place(hsup: Hsup) -> None:
    text = json.dumps(
        {
            "Version": "two",
            "Env": {"LIMIT": 12},
            "Processes": [process("web", "true", quantity=-1), process("../x", "true")],
        },
        indent=1,
    )
    (hsup.directory / "release.json").write_text(text)
    done = hsup.call("check", "release.json")
    said = done.text + done.message
    assert done.status == 1
    assert_tells(said, ["Version", "LIMIT", "Quantity", r"\.\./x", "line [0-9]"])


def test_check_is_content_with_a_good_control_file(hsup: Hsup) -> None:
    (hsup.directory / "release.json").write_text(release())
    done = hsup.call("check", "release.json")
    assert done.status == 0, done


def test_check_without_a_path_takes_what_start_would(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    assert hsup.call("check").status == 0
    (hsup.directory / "Procfile").write_text("web: true\nnonsense without a colon\n")
    done = hsup.call("check")
    assert_tells(done.text + done.message, ["line 2"])


def test_check_of_a_file_that_is_not_there_names_it(hsup: Hsup) -> None:
    done = hsup.call("check", "missing.json")
    assert done.status in {1, 2}
    assert "missing.json" in done.message
    assert "Traceback" not in done.message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["Procfile", "process"]),
        ("# only a remark\n\n", ["Procfile", "process"]),
        ("../x: true\n", ["line 1"]),
        ("web: tr\0ue\n", ["line 1", "NUL"]),
    ],
)
def test_a_faulty_procfile_is_an_error(hsup: Hsup, content: str, expected: list[str]) -> None:
    (hsup.directory / "Procfile").write_text(content)
    done = hsup.call("start")
    assert done.status == 1
    assert done.message.startswith("hsup: ")
    assert_tells(done.message, expected)


def test_a_procfile_that_is_a_directory_is_named(hsup: Hsup) -> None:
    (hsup.directory / "Procfile").mkdir()
    done = hsup.call("--source", "procfile", "start")
    assert done.status == 1
    assert "Procfile" in done.message
    assert "Traceback" not in done.message


def test_a_variable_that_the_kernel_does_not_pass_is_named_before_anything_is_up(
    hsup: Hsup,
) -> None:
    big = {"Env": {"SMALL": "1", "BIG": "x" * 131_072}, "Processes": [process("one", hsup.born)]}
    hsup.release(**big)
    told = 'hsup: v1 of .*: config var "BIG" has [0-9]+ bytes with its name, more than 131071'
    for words in (("run", "--", "echo", "hi"), ("start",)):
        done = hsup.call(*words)
        assert_tells(done.message, [told])
        assert (done.status, "State changed" in done.text) == (1, False)


def test_such_a_variable_in_a_new_release_leaves_the_old_one_running(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born)])
    running = hsup.start()
    before = hsup.sleepers()
    hsup.release(Version=2, Env={"BIG": "x" * 131_072}, Processes=[process("one", hsup.born)])
    running.wait_for(r'Release rejected, .*: v2 of .*: config var "BIG"')
    assert hsup.sleepers() == before
    assert running.stop() == 0


def test_a_command_that_does_not_exist_is_told_and_not_tried_in_a_loop(hsup: Hsup) -> None:
    replace(hsup.directory / "Procfile", "good: " + hsup.born + "\n")
    hsup.release(Processes=[process("bad", "/no/such/one", "x"), process("good", hsup.born)])
    running = hsup.start("bad=3", "good")
    running.wait_for(r"\[bad\.1\]: .*/no/such/one", count=2)
    running.wait_for("born")
    # In a container it is bash that finds out.
    dynos = ("bad.1", "bad.2", "bad.3")
    for dyno in dynos:
        crashes = rf"\[{dyno}\]: State changed from (starting|up) to crashed"
        running.wait_for(crashes, count=3)
    pauses = [running.pauses(dyno) for dyno in dynos]
    assert min(pause[0] for pause in pauses) < 0.7  # a machine may be slow now and then
    assert 0.7 < min(pause[1] for pause in pauses) < 3.0 * PATIENCE
    assert running.stop() == 0
    assert running.count("born$") == 1


#: Starts a command where bash is no program, by covering it in a mount namespace of its own.
WITHOUT_BASH = (
    "unshare",
    "--mount",
    "--map-root-user",
    "sh",
    "-c",
    'mount --bind /dev/null "$(readlink -f "$(command -v bash)")" && exec "$@"',
    "sh",
)


@pytest.mark.simple_only("bash of another driver is of the stack")
def test_a_machine_without_bash_is_told(hsup: Hsup) -> None:
    probe = [*WITHOUT_BASH, "sh", "-c", "! bash -c true 2>/dev/null"]
    if subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("bash cannot be hidden: a mount namespace is needed, and one bash only")
    hsup.procfile(web="true")
    done = hsup.call("run", "echo hi", prefix=WITHOUT_BASH)
    assert done.status == 127
    assert done.message.startswith("hsup: ")
    assert "bash" in done.message
    assert "Traceback" not in done.message
