from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hsup.validation import MOST_SHOWN
from hsup_source_procfile.dotenv_file import parse

# The first example imports the parser, which may take longer than an example should.
IMPORTING = settings(deadline=None)


def messages_of(text: str) -> list[str]:
    _, faults = parse(text)
    return [f"{'warning: ' if fault.is_warning else ''}{fault}" for fault in faults]


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("", {}),
        ("# nothing\n\n", {}),
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ("export A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=x # comment\nB=x#y\n", {"A": "x", "B": "x#y"}),
        ("A='x # y'\nB=\"a\\nb\"\nC='a\\nb'", {"A": "x # y", "B": "a\nb", "C": "a\\nb"}),
        ('KEY="-----BEGIN\nxyz\n-----END"\nB=1', {"KEY": "-----BEGIN\nxyz\n-----END", "B": "1"}),
        ("A=$HOME\nB=${A}-${C:-d}\n", {"A": "$HOME", "B": "${A}-${C:-d}"}),
        ("URL=postgres://u:p@h/d?a=b", {"URL": "postgres://u:p@h/d?a=b"}),
    ],
)
def test_config_vars_are_read_literally(text: str, config: dict[str, str]) -> None:
    assert parse(text) == (config, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\n\n\nB='s3cret\n", "line 4: must be KEY=value, with every quote closed"),
        (
            "'A\033[2J'=s3cret\n",
            'line 1: a name must not be empty or contain "=" or control characters',
        ),
        ("A=1\ns3cret\n", 'warning: line 2: has no "=" and is ignored'),
    ],
)
def test_a_faulty_line_is_told_by_its_number_and_never_shown(text: str, message: str) -> None:
    assert messages_of(text) == [message]


def test_the_last_of_two_lines_with_one_name_counts() -> None:
    config, _ = parse("A=first\nB=x\nA=second\n")
    assert config == {"A": "second", "B": "x"}
    assert messages_of("A=first\nB=x\nA=second\n") == [
        'warning: line 3: "A" is also on line 1; this line takes precedence'
    ]


def test_a_line_without_an_equals_sign_sets_nothing() -> None:
    assert parse("A\nB=1\n")[0] == {"B": "1"}


@settings(IMPORTING, max_examples=500)
@given(st.lists(st.text(alphabet="AB1= \t'\"#\\$_x\x0b\u2028", max_size=12)))
@example(["A='x # y'", 'B="x y"', "# c", "", "C=x#y", "D=x # y", "E=x\x0b"])
def test_plain_lines_mean_what_the_library_takes_them_for(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    config, faults = parse(text)
    assert parse(f"{text}LAST=a b") == ({**config, "LAST": "a b"}, faults)  # this one is not plain


@pytest.mark.parametrize(
    "text", ["A=1\n", "# c\n\nA='x y'\nB=\"#\"", "A=\nexport=postgres://h:1/?a=$b"]
)
def test_a_plain_file_is_read_without_the_library(text: str) -> None:
    program = f"import sys; from hsup_source_procfile.dotenv_file import parse; parse({text!r}); "
    program += "sys.exit('importlib.util' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@IMPORTING
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_no_text_is_too_much_for_the_parser(text: str) -> None:
    config, _ = parse(text)
    assert all(isinstance(value, str) for value in config.values())


@IMPORTING
@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True),
        st.text(alphabet=st.characters(exclude_characters="'\\\r\0", codec="utf-8")),
    )
)
def test_what_is_written_in_single_quotes_comes_back(config: dict[str, str]) -> None:
    text = "".join(f"{name}='{value}'\n" for name, value in config.items())
    assert parse(text) == (config, ())


@pytest.mark.parametrize(
    ("line", "is_warning"), [("A", True), ("B=1", True), ('C="x" y', False)], ids=repr
)
def test_of_what_is_wrong_very_often_only_the_first_is_told(line: str, is_warning: bool) -> None:
    lines = 1_000 + (line == "B=1")  # the first of those is none too many
    config, faults = parse("\n".join(["# first", *[line] * lines]) + "\n")
    assert config == ({"B": "1"} if line == "B=1" else {})
    assert len(faults) == MOST_SHOWN + 1
    assert str(faults[-1]) == f"{1_000 - MOST_SHOWN} more like these are not shown"
    assert {one.is_warning for one in faults} == {is_warning}
