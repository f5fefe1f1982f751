"""Every fault of a control file is reported with its line."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from hsup.errors import InvalidRelease
from hsup.model import Command, Drain, Fault, ProcessType, Release, Slug
from hsup.validation import MOST_SHOWN
from hsup_source_directory.control_file import Parsed, parse

FULL = b"""{
    "Version": 1,
    "Name": "shop",
    "Env": {
        "NAME": "CONTENTS"
    },
    "Slug": "sample-slug.tgz",
    "Stack": "cedar-14",
    "LogplexURL": "https://logs.example.com", "LogDrains": ["https://a.example/x", "syslog://b"],
    "Processes": [
        {
            "Args": ["./web-server", "arg"],
            "Quantity": 2,
            "Type": "web"
        },
        {"Args": ["./worker | tee log"], "Quantity": 0, "Type": "worker", "Size": "Standard-2X"}
    ]
}
"""


NO_PROCESSES = Fault(
    place="line 1",
    problem='"Processes" is missing: no dyno will run; write "Processes": [] if that is meant',
    is_warning=True,
)


def parsed(content: bytes) -> Parsed:
    return parse(content, app=None, default_app="directory")


def with_process(**changed: object) -> bytes:
    process = {"Args": ["./web"], "Quantity": 1, "Type": "web", **changed}
    kept = {key: value for key, value in process.items() if value is not ...}
    return json.dumps({"Processes": [kept]}).encode()


def faults_of(content: bytes) -> list[str]:
    found = parsed(content)
    assert found.release is None
    assert set(found.warnings) <= {NO_PROCESSES}
    return [str(fault) for fault in found.errors]


def test_every_key_has_its_place_in_the_release() -> None:
    assert parsed(FULL) == Parsed(
        release=Release(
            app="shop",
            version=1,
            config={"NAME": "CONTENTS"},
            processes=(
                ProcessType(name="web", command=Command(words=("./web-server", "arg")), quantity=2),
                ProcessType(
                    name="worker",
                    command=Command(words=("./worker | tee log",)),
                    quantity=0,
                    size="Standard-2X",
                ),
            ),
            slug=Slug(location="sample-slug.tgz"),
            stack="cedar-14",
            logplex_url="https://logs.example.com",
            drains=(Drain("https://a.example/x"), Drain("syslog://b")),
        )
    )


@pytest.mark.parametrize(
    "content",
    [
        b'{"Processes": []}',
        b'\xef\xbb\xbf{"Processes": []}',
        b'{"Version": null, "Name": null, "Env": null, "Slug": null, "Processes": null}',
        b'{"Name": "", "Env": {}, "Slug": "", "Stack": "", "Processes": [], "LogplexURL": ""}',
        b'{"Processes": [], "LogDrains": []}',
        b'{"Processes": [], "LogDrains": null}',
    ],
)
def test_what_is_left_out_null_or_empty_has_a_default(content: bytes) -> None:
    assert parsed(content) == Parsed(release=Release(app="directory", version=0))


@pytest.mark.parametrize(("app", "expected"), [(None, "shop"), ("asked", "asked")])
def test_the_app_that_was_asked_for_wins_over_the_name(app: str | None, expected: str) -> None:
    release = parse(FULL, app=app, default_app="directory").release
    assert release is not None
    assert release.app == expected


@pytest.mark.parametrize("size", [..., None, ""])
def test_a_process_without_a_size_is_left_to_the_driver(size: object) -> None:
    release = parsed(with_process(Size=size)).release
    assert release is not None
    assert release.processes[0].size is None


def test_a_release_that_is_a_container_image_may_leave_the_command_to_it() -> None:
    process = {"Type": "web", "Quantity": 1, "Args": []}
    content = {"Slug": "docker://registry.example/shop:1", "Processes": [process]}
    release = parsed(json.dumps(content).encode()).release
    assert release.process("web").command == Command(())
    assert release.slug == Slug("docker://registry.example/shop:1")


def test_a_faulty_command_of_a_container_image_is_told_that_none_would_do() -> None:
    process = {"Type": "web", "Quantity": 1, "Args": "./web"}
    content = {"Slug": "docker://registry.example/shop:1", "Processes": [process]}
    assert faults_of(json.dumps(content).encode()) == [
        'line 1: "Args" of process "web" must be a list of strings, got "./web"'
    ]


def test_a_rejection_reads_as_a_sentence() -> None:
    error = InvalidRelease(
        'cannot read control file "new"', parsed(with_process(Quantity="two")).errors
    )
    assert str(error) == (
        'cannot read control file "new": line 1: "Quantity" of process "web" must be '
        'a whole number, 0 or more, got "two"'
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty, a JSON object was expected"),
        (b" \n\t", "the file is empty, a JSON object was expected"),
        (b'{\n"Name": "\xff"}', "line 2: must be UTF-8 text, got the byte 0xff"),
        ('{"Name": "x"}'.encode("utf-16"), "line 1: must be UTF-8 text, got the byte 0xff"),
        (b"{\n  Version: 1}", "line 2, column 3: must be JSON: "),
        (b'{"Version": 1', "line 1, column 14: must be JSON: expecting ',' delimiter, got the end"),
        (b'{"Version": }', 'line 1, column 13: must be JSON: expecting value, got "}"'),
        (b'{"Env": {"A": "secret', "line 1, column 15: must be JSON: unterminated string"),
        (b"{} {}", "line 1, column 4: must be JSON: extra data"),
        (b"[" * 20_000, "is nested too deeply"),
        (b"9" * 5000, "contains a number with too many digits"),
    ],
)
def test_what_is_not_json_is_told_with_line_and_column(content: bytes, expected: str) -> None:
    (fault,) = faults_of(content)
    assert fault.startswith(expected)
    assert "secret" not in fault


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"[]", "an empty list"), (b"null", "null"), (b'"x"', '"x"'), (b"NaN", "NaN"), (b"-1", "-1")],
)
def test_the_top_level_is_an_object(content: bytes, found: str) -> None:
    assert faults_of(content) == [f"line 1: the file must be a JSON object, got {found}"]


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ('"Version": "1"', '"Version" must be a whole number, 0 or more, got "1"'),
        ('"Version": 1.5', '"Version" must be a whole number, 0 or more, got 1.5'),
        ('"Version": true', '"Version" must be a whole number, 0 or more, got true'),
        (
            f'"Version": {2**63}',
            f'"Version" must be a whole number, {2**63 - 1} or less, got {2**63}',
        ),
        ('"Name": 5', '"Name" must be a string, got 5'),
        ('"Name": "../x"', '"Name" must be a name without "/", got "../x"'),
        ('"Name": ".."', '"Name" must be a name without "/", got ".."'),
        ('"Slug": ["x"]', '"Slug" must be a string, got a list'),
        ('"Slug": "a\\u0000b"', '"Slug" must be one line of text, got the character U+0000'),
        ('"Stack": {}', '"Stack" must be a string, got an object'),
        ('"LogplexURL": false', '"LogplexURL" must be a string, got false'),
        ('"LogDrains": "https://x"', '"LogDrains" must be a list of URLs, got a string'),
        ('"LogDrains": [5]', 'an item of "LogDrains" must be a string, got 5'),
        (
            '"LogDrains": ["https://x\\u0000"]',
            'an item of "LogDrains" must be one line of text, got the character U+0000',
        ),
        ('"Processes": {}', '"Processes" must be a list of objects, got an object'),
        ('"Processes": [null]', "process 1 must be an object, got null"),
        ('"Env": ["A=secret"]', '"Env" must be an object of strings, got a list'),
        ('"Env": "A=secret"', '"Env" must be an object of strings, got a string'),
        (
            '"Env": {"PORT": 5}',
            '"PORT" of "Env" must be a string, got a number (write "5", not 5)',
        ),
        (
            '"Env": {"DEBUG": true}',
            '"DEBUG" of "Env" must be a string, got true or false (write "5", not 5)',
        ),
        ('"Env": {"A": null}', '"A" of "Env" must be a string, got null'),
        ('"Env": {"A": ["secret"]}', '"A" of "Env" must be a string, got a list'),
        (
            '"Env": {"A": "secret\\u0000"}',
            '"A" of "Env" must be text without NUL, got a NUL character',
        ),
        (
            '"Env": {"A": "secret\\ud800"}',
            '"A" of "Env" must be Unicode text, got a lone surrogate',
        ),
        (
            '"Env": {"": "x"}',
            'a name in "Env" must not be empty or contain "=" or control characters, got ""',
        ),
        (
            '"Env": {"A=B": "x"}',
            'a name in "Env" must not be empty or contain "=" or control characters, got "A=B"',
        ),
        (
            '"Env": {"A\\u0000": "x"}',
            'a name in "Env" must not be empty or contain "=" or control characters, got "A\\u0000"',  # noqa: E501
        ),
        ('"Env": {"A": "1", "A": "2"}', '"A" of "Env" is given more than once'),
        ('"Version": 1, "Version": 2', '"Version" is given more than once'),
    ],
)
def test_a_faulty_member_is_told_with_its_line(member: str, expected: str) -> None:
    assert faults_of(f"{{\n\n{member}}}".encode()) == [f"line 3: {expected}"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"Quantity": "two"}, '"Quantity" of process "web" must be {whole}, got "two"'),
        ({"Quantity": -1}, '"Quantity" of process "web" must be {whole}, got -1'),
        ({"Quantity": 0.5}, '"Quantity" of process "web" must be {whole}, got 0.5'),
        ({"Quantity": True}, '"Quantity" of process "web" must be {whole}, got true'),
        ({"Quantity": None}, '"Quantity" of process "web" must be {whole}, got null'),
        ({"Quantity": ...}, '"Quantity" of process "web" is missing; it must be {whole}'),
        (
            {"Quantity": 10_001},
            '"Quantity" of process "web" must be a whole number, 10000 or less, got 10001',
        ),
        ({"Args": ...}, '"Args" of process "web" is missing; it must be {list}'),
        ({"Args": []}, '"Args" of process "web" must be {list}, got an empty list'),
        ({"Args": "./web"}, '"Args" of process "web" must be {list}, got "./web"'),
        (
            {"Args": ["./web", 5]},
            'word 2 of "Args" of process "web" must be a string, got 5',
        ),
        ({"Args": [""]}, 'word 1 of "Args" of process "web" must be a command, got ""'),
        (
            {"Args": ["./web", "a\0b"]},
            'word 2 of "Args" of process "web" must be text without NUL, got a NUL character',
        ),
        ({"Size": 2}, '"Size" of process "web" must be {size}, got 2'),
        ({"Size": "a\nb"}, '"Size" of process "web" must be {size}, got "a\\nb"'),
        ({"Size": ["eco"]}, '"Size" of process "web" must be {size}, got a list'),
        ({"Type": ...}, '"Type" of process 1 is missing; it must consist of {type}'),
        ({"Type": ""}, '"Type" of process 1 must consist of {type}, got ""'),
        ({"Type": 5}, '"Type" of process 1 must consist of {type}, got 5'),
        ({"Type": "../x"}, '"Type" of process 1 must consist of {type}, got "../x"'),
        ({"Type": "web\n"}, '"Type" of process 1 must consist of {type}, got "web\\n"'),
        (
            {"Type": "x" * 129},
            '"Type" of process 1 must consist of {type}, got "' + "x" * 60 + '"…',
        ),
    ],
)
def test_a_faulty_process_is_told_by_its_type(changed: dict[str, Any], expected: str) -> None:
    text = expected.format(
        whole="a whole number, 0 or more",
        list="a list of one or more strings",
        type="1 to 128 letters, digits, hyphens and underscores",
        size="the name of a dyno size",
    )
    assert faults_of(with_process(**changed)) == [f"line 1: {text}"]


def test_a_type_is_given_once() -> None:
    process = b'{"Args": ["x"], "Quantity": 1, "Type": "web"}'
    content = b'{"Processes": [\n' + process + b",\n" + process + b"\n]}"
    assert faults_of(content) == [
        'line 3: "Type" of process 2 is "web", which is already used; process types must be unique'
    ]


def test_all_faults_are_told_in_the_order_of_the_file() -> None:
    content = (
        FULL.replace(b'"Quantity": 2', b'"Quantity": -2')
        .replace(b'"Version": 1', b'"Version": "one"')
        .replace(b'"CONTENTS"', b"5")
        .replace(b'"Type": "worker"', b'"Type": "web"')
    )
    found = parsed(content).errors
    assert [fault.place for fault in found] == ["line 2", "line 5", "line 13", "line 16"]
    assert str(InvalidRelease("x", found)).endswith("(and 3 more)")


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ('"versoin": 1', 'unknown key "versoin" is ignored, did you mean "Version"?'),
        ('"Zebra": 1', 'unknown key "Zebra" is ignored'),
        (f'"{"x" * 61}": 1', f'unknown key "{"x" * 60}"… is ignored'),
        (
            '"Env": {"a-b": "secret"}',
            'a name in "Env" should consist of letters, digits and underscores, got "a-b"',
        ),
    ],
)
def test_an_oddity_warns_and_is_accepted(member: str, expected: str) -> None:
    found = parsed(f'{{"Processes": [],\n{member}}}'.encode())
    assert found.release is not None
    assert found.faults == (Fault(place="line 2", problem=expected, is_warning=True),)


def test_an_unknown_key_of_a_process_warns_and_is_accepted() -> None:
    found = parsed(with_process(Quanttiy=2))
    assert found.release is not None
    (fault,) = found.warnings
    expected = 'unknown key "Quanttiy" of process "web" is ignored, did you mean "Quantity"?'
    assert fault.problem == expected


def test_known_keys_may_have_any_case_with_a_warning_for_each() -> None:
    content = (
        FULL.replace(b'"Version"', b'"version"')
        .replace(b'"LogplexURL"', b'"LogplexUrl"')
        .replace(b'"Processes"', b'"processes"')
        .replace(b'"Args": ["./web', b'"args": ["./web')
        .replace(b'"Type": "worker"', b'"TYPE": "worker"')
    )
    found = parsed(content)
    assert found.release == parsed(FULL).release
    assert [str(fault) for fault in found.warnings] == [
        'line 2: key "version" should be written "Version"',
        'line 9: key "LogplexUrl" should be written "LogplexURL"',
        'line 10: key "processes" should be written "Processes"',
        'line 12: key "args" of process "web" should be written "Args"',
        'line 16: key "TYPE" of process "worker" should be written "Type"',
    ]


def test_config_vars_that_differ_in_case_are_different() -> None:
    release = parsed(b'{"Env": {"a": "1", "A": "2"}}').release
    assert release is not None
    assert release.config == {"a": "1", "A": "2"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b'{"Version": 1,\n"version": 2}',
            '"Version" is given more than once, as "Version" and "version"',
        ),
        (
            b'{"version": 1,\n"Version": 1}',
            '"Version" is given more than once, as "version" and "Version"',
        ),
        (
            b'{"Processes": [{"Type": "web", "Args": ["x"], "Quantity": 1,\n"quantity": 2}]}',
            '"Quantity" of process "web" is given more than once, as "Quantity" and "quantity"',
        ),
    ],
)
def test_a_key_is_given_in_one_spelling(content: bytes, expected: str) -> None:
    found = parsed(content)
    assert found.release is None
    assert [str(fault) for fault in found.errors] == [f"line 2: {expected}"]


def test_a_fault_of_a_misspelt_member_is_on_its_line() -> None:
    content = b'{"processes":\n[{"type": "web", "args": ["x"],\n"quantity": -1}]}'
    assert [fault.place for fault in parsed(content).errors] == ["line 3"]


@pytest.mark.parametrize(
    "content", [b"{}", b'\xef\xbb\xbf{"Env": {"A": "1"}}', b'{\n"Version": 2}']
)
def test_a_release_without_processes_warns_unless_it_says_so(content: bytes) -> None:
    found = parsed(content)
    assert found.release is not None
    assert found.faults == (NO_PROCESSES,)


@pytest.mark.parametrize("character", ["x", r"\n"])
@pytest.mark.parametrize("member", ['"{}": "x"', '"Zebra": "{}"'])
def test_a_long_text_takes_no_more_than_some_copies_of_it(member: str, character: str) -> None:
    text = character * (15_000_000 // len(character))
    content = f'{{"Processes": [], {member.format(text)}}}'.encode()
    tracemalloc.start()
    try:
        found = parsed(content)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.warnings
    assert peak_bytes < 90_000_000


def test_the_faults_of_a_file_that_cannot_be_read_are_its_own() -> None:
    fault = Fault(place="", problem="must be a file, got a directory")
    assert parse(fault, app=None, default_app="x") == Parsed(release=None, faults=(fault,))


def test_a_slug_has_its_checksum() -> None:
    checksum = f"SHA256:{'0a' * 32}"
    content = json.dumps({"Slug": "a.tgz", "SlugChecksum": checksum, "Processes": []}).encode()
    release = parsed(content).release
    assert release is not None
    assert release.slug == Slug(location="a.tgz", checksum=checksum)


@pytest.mark.parametrize("checksum", ["md5:0", "SHA256:0", f"SHA256:{'g' * 64}"])
def test_what_is_no_checksum_is_named(checksum: str) -> None:
    content = json.dumps({"SlugChecksum": checksum, "Processes": []}).encode()
    (fault,) = parsed(content).errors
    assert "64 hexadecimal digits" in fault.problem


def many(key: str, count: int = 25_000) -> str:
    return ",".join(key.format(number) for number in range(count))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f'{{"Processes": [], {many(chr(34) + "Versio{}" + chr(34) + ": 1")}}}', 'key "Versio0"'),
        (f'{{"Processes": [], "Env": {{{many(chr(34) + "{}-" + chr(34) + ": 1")}}}}}', "a name"),
    ],
    ids=["near misses", "config vars"],
)
def test_of_what_is_wrong_very_often_only_the_first_is_told(content: str, problem: str) -> None:
    faults = parse(content.encode(), app=None, default_app="shop").faults
    told = [fault for fault in faults if fault.place]
    assert problem in told[0].problem
    kinds = {fault.is_warning for fault in told}
    assert len(told) == MOST_SHOWN * len(kinds)
    assert [str(fault) for fault in faults if not fault.place] == (
        [f"{25_000 - MOST_SHOWN} more like these are not shown"] * len(kinds)
    )


def test_more_process_types_than_any_application_has_are_one_fault() -> None:
    content = b'{"Processes": [' + b"{}," * 1000 + b"{}]}"
    (fault,) = parse(content, app=None, default_app="shop").faults
    assert str(fault) == 'line 1: "Processes" must have at most 1000 elements, got 1001'


@pytest.mark.parametrize("element", ["{}", "[]"])
def test_more_objects_and_lists_than_any_release_has_are_not_even_read(element: str) -> None:
    content = f'{{"x": [{element}{f",{element}" * 100_000}]}}'.encode()
    (fault,) = parse(content, app=None, default_app="shop").faults
    assert str(fault) == "must have at most 20000 of the brackets { and [, got 100003"
