from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.model import Command, ProcessType
from hsup.validation import MAX_PROCESSES, MOST_SHOWN
from hsup_source_procfile.procfile import MAX_NAME_LENGTH, parse

NEWER = "newer platforms (Cloud Native Buildpacks)"
NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}", fullmatch=True)
COMMANDS = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1
).filter(lambda command: command == command.strip() and not command.endswith("\\"))


def commands_of(text: str) -> dict[str, str]:
    processes, _ = parse(text)
    return {process.name: str(process.command) for process in processes}


def messages_of(text: str) -> list[str]:
    _, faults = parse(text)
    return [f"{'warning: ' if fault.is_warning else ''}{fault}" for fault in faults]


def test_a_line_is_a_process_type_with_a_shell_line_and_one_dyno() -> None:
    processes, faults = parse("web: python3 web.py --port $PORT | tee log\n")
    command = Command(words=("python3 web.py --port $PORT | tee log",))
    assert processes == (ProcessType(name="web", command=command, quantity=1),)
    assert faults == ()


def test_the_release_phase_has_no_dyno() -> None:
    processes, _ = parse("release: ./migrate\nweb: ./serve")
    assert [(process.name, process.quantity) for process in processes] == [
        ("release", 0),
        ("web", 1),
    ]


def test_comments_empty_lines_and_indentation_are_nothing_special() -> None:
    text = "# what runs\n\n   \t\n  # more\n\t web: ./serve # not a comment  \nworker-2:\t./work"
    assert commands_of(text) == {"web": "./serve # not a comment", "worker-2": "./work"}
    assert messages_of(text) == []


def test_every_end_of_a_line_ends_a_command() -> None:
    text = "web: serve 1\r\njob: serve 2\rother: serve 3\n"
    assert commands_of(text) == {"web": "serve 1", "job": "serve 2", "other": "serve 3"}


def test_a_command_may_have_colons_and_names_in_it() -> None:
    assert commands_of("web: env A=1 web: x: y") == {"web": "env A=1 web: x: y"}


def test_a_name_of_63_characters_is_fine() -> None:
    assert messages_of(f"{'a' * 63}: ./serve") == []


@pytest.mark.parametrize(
    ("line", "name", "command", "warnings"),
    [
        (
            "web:./serve",
            "web",
            "./serve",
            ['classic Heroku needs a space after "web:"'],
        ),
        (
            "Web: x",
            "Web",
            "x",
            [f'on {NEWER} "Web" becomes "web"'],
        ),
        (
            "My_Worker: x",
            "My_Worker",
            "x",
            [f'on {NEWER} "My_Worker" becomes "my-worker"'],
        ),
        (
            "_web: x",
            "_web",
            "x",
            [
                f'on {NEWER} "_web" becomes "-web"',
                f'{NEWER} do not accept "_web", which begins with "_", or ends with "-" or "_"',
            ],
        ),
        (
            f"{'a' * 64}: x",
            "a" * 64,
            "x",
            [f"{NEWER} accept names of at most 63 characters, this one has 64"],
        ),
    ],
)
def test_what_one_format_only_accepts_is_accepted_with_a_warning(
    line: str, name: str, command: str, warnings: list[str]
) -> None:
    assert commands_of(line) == {name: command}
    assert messages_of(line) == [f"warning: line 1: {warning}" for warning in warnings]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("web", 'must be "name: command", got "web"'),
        ("web ./serve", 'must be "name: command", got "web ./serve"'),
        ("Run it like this: x", 'must be "name: command", got "Run it like this: x"'),
        ("web : ./serve", 'must have no blank before its colon, got "web : ./serve"'),
        (
            "http://x.org says it",
            'must be "name: command", and not begin with a URL, got "http://x.org says it"',
        ),
        ("--bind: x", 'a name must not begin with "-", got "--bind"'),
        ("web/1: x", 'must be "name: command", got "web/1: x"'),
        ("../x: y", 'must be "name: command", got "../x: y"'),
        ("\x1b[31m: x", 'must be "name: command", got "\\x1b[31m: x"'),
        (": x", 'must be "name: command", got ": x"'),
        (f"={'x' * 99}", f'must be "name: command", got "={"x" * 59}…"'),
        ("web:", '"web" must have a command'),
        ("web:  \t", '"web" must have a command'),
        (f"{'a' * 129}: x", "a name must have at most 128 characters, got 129"),
    ],
)
def test_a_line_that_neither_format_accepts_is_a_fault_with_its_number(
    line: str, problem: str
) -> None:
    text = f"first: ok\n\n{line}\nlast: ok\n"
    assert messages_of(text) == [f"line 3: {problem}"]
    assert commands_of(text) == {"first": "ok", "last": "ok"}


@pytest.mark.parametrize("rest", ["  --workers 2", "worker: x", "  -b: x", "#", "  a \\\n  b: c"])
def test_of_a_command_that_is_continued_no_part_is_a_process(rest: str) -> None:
    text = f"web: serve \\\n{rest}\nlast: ok"
    assert messages_of(text) == [
        'line 1: the command of "web" must be on one line, without "\\" at its end'
    ]
    assert commands_of(text) == {"last": "ok"}


def test_a_command_may_end_with_a_backslash_that_is_escaped() -> None:
    assert commands_of("web: echo \\\\") == {"web": "echo \\\\"}


def test_the_last_of_two_lines_with_one_name_counts() -> None:
    text = "web: old\nworker: x\nweb: new\n"
    assert commands_of(text) == {"web": "new", "worker": "x"}
    assert messages_of(text) == [
        'warning: line 3: "web" is also on line 1; this line takes precedence'
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "# web: ./serve\n"])
def test_a_procfile_without_a_process_is_a_fault(text: str) -> None:
    assert messages_of(text) == ['Procfile has no process type; write a line like "web: command"']


@given(st.text())
def test_no_text_is_too_much_for_the_parser(text: str) -> None:
    processes, faults = parse(text)
    assert processes or faults


@given(st.text(alphabet="aB-_:# \t\n"))
def test_names_that_are_read_are_unique_and_within_the_limit(text: str) -> None:
    processes, _ = parse(text)
    names = [process.name for process in processes]
    assert len(set(names)) == len(names)
    assert all(0 < len(name) <= MAX_NAME_LENGTH for name in names)


@given(st.dictionaries(NAMES, COMMANDS, min_size=1), st.sampled_from([": ", ":\t", ":   "]))
def test_what_is_written_as_valid_comes_back(commands: dict[str, str], separator: str) -> None:
    text = "\n".join(f"{name}{separator}{command}" for name, command in commands.items())
    assert commands_of(text) == commands
    assert all(message.startswith("warning: ") for message in messages_of(text))


@pytest.mark.parametrize(("line", "is_warning"), [("=", False), ("Web: serve", True)], ids=repr)
def test_of_what_is_wrong_very_often_only_the_first_is_told(line: str, is_warning: bool) -> None:
    _, faults = parse(f"{line}\n" * 1_000)
    assert len(faults) == MOST_SHOWN + 1
    assert str(faults[-1]).endswith(" more like these are not shown")
    assert {one.is_warning for one in faults} == {is_warning}


def test_there_are_no_more_process_types_than_in_a_control_file() -> None:
    lines = [f"web{number}: serve" for number in range(MAX_PROCESSES)]
    assert len(parse("\n".join(lines))[0]) == MAX_PROCESSES
    processes, (fault,) = parse("\n".join([*lines, "one: more"]))
    assert processes == ()
    assert str(fault) == f"must have at most {MAX_PROCESSES} process types, got {MAX_PROCESSES + 1}"
    assert not fault.is_warning
