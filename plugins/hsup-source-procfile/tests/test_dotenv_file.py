from __future__ import annotations

import codecs
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.model import Fault
from hsup.validation import MOST_SHOWN
from hsup_source_procfile.dotenv_file import parse
from hsup_source_procfile.text_file import decode

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
VALUES = st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"))
#: What JavaScript's regular expressions take for blanks (ECMAScript, WhiteSpace, LineTerminator).
JS_BLANKS = "\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
OPEN = "must be KEY=value, with every quote closed"


def in_double_quotes(value: str) -> str:
    return '"' + "".join(f"\\{char}" if char in '"\\$`' else char for char in value) + '"'


def of_heroku(value: str) -> str:
    """Write a value as `heroku config --shell` does (npm: heroku 11, dist/lib/config/quote.js)."""
    if not re.search(rf"""["{JS_BLANKS}#!$&'()*,:;<=>?@\[\\\]^`{{|}}]""", value):
        return value
    if not re.search(r"['\n]", value):
        return f"'{value}'"
    escaped = re.sub(r'(["\\$`!])', r"\\\1", value)
    return '"' + escaped.replace("\n", "\\n") + '"'


def read(content: bytes) -> tuple[dict[str, str], tuple[Fault, ...]]:
    """Read a file as it stands on a disk."""
    text = decode(content)
    assert isinstance(text, str)
    return parse(text)


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
        ("A='$HOME'\nB=pa$$word\nC=a$b\n", {"A": "$HOME", "B": "pa$$word", "C": "a$b"}),
        ("A= # comment\nB=#x", {"A": "", "B": "#x"}),
        ("A='it'\"'\"'s'\nB='it'\\''s'\nC=it\\'s", dict.fromkeys("ABC", "it's")),
        ('A="\\"\\\\\\$\\`\\x"\nB="a\\\nb"\nC=a\\ b', {"A": '"\\$`\\x', "B": "ab", "C": "a b"}),
        ("A=C:\\Users\\x\nB=x\\", {"A": "C:\\Users\\x", "B": "x\\"}),
        ('A={"a":"b\\"c"}', {"A": '{"a":"b\\"c"}'}),
        ("A=don't\nB=a'b'", {"A": "don't", "B": "a'b'"}),
        ("A='x'#y\nB='x' # y\n\tC=1", {"A": "x#y", "B": "x", "C": "1"}),
        (r"A=$'it\'s\n\t\E\101\x41'", {"A": "it's\n\t\x1bAA"}),
        (r"A=''$'\303\251'$'\u20ac' # b", {"A": "é€"}),
        (r"A=$'\C-A\C-?\M-C\M-\'\cB\z'", {"A": "\x01\x7fç\x02\\z"}),
        ("A=x$'y'\nB=$x'y'", {"A": "x$'y'", "B": "$x'y'"}),
        ('declare -rx A="x"\nexport -i10 B=2\nexport -x=1', {"A": "x", "B": "2", "-x": "1"}),
        ("export -T A a=( /bin '/a b' '' )\nexport -UT B b=( ) ,", {"A": "/bin:/a b:", "B": ""}),
        ("URL=postgres://u:p@h/d?a=b", {"URL": "postgres://u:p@h/d?a=b"}),
    ],
)
def test_config_vars_are_read_literally(text: str, config: dict[str, str]) -> None:
    assert parse(text) == (config, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\n\n\nB='s3cret\n", f"line 4: {OPEN}"),
        ("A='s3cret' x\nB=1\n", f"line 1: {OPEN}"),
        ("A: s3cret=1\n", f"line 1: {OPEN}"),
        ("A='s3cret\n' x\nB='y'", f"line 1: {OPEN}; what follows is not read"),
        *(
            (text, "must be lines like KEY=value, got JSON")
            for text in ('\n{"A": "s3cret"}', '[\n  {"name": "s3cret"}\n]', "[]", '["s3cret"]')
        ),
        (
            "'A\033[2J'=s3cret\n",
            'line 1: a name must not be empty or contain "=" or control characters',
        ),
        (r"A=$'\xffs3cret'", 'line 1: the value of "A" must be UTF-8 text, got the byte 0xff'),
        (
            r"A=$'s3cret\0'",
            'line 1: the value of "A" must be text without NUL, got a NUL character',
        ),
        ("A=$'s3cret\n", f"line 1: {OPEN}"),
        ("export -T A a=( s3cret\nB=1", f"line 1: {OPEN}"),
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


@pytest.mark.parametrize(
    "text", ["A=${B}", 'A="${B:-x}"', "A=$PATH", 'A="$HOME/x"', "B=1\nA=$B"], ids=repr
)
def test_a_reference_that_is_not_replaced_is_told(text: str) -> None:
    (message,) = messages_of(text)
    assert re.fullmatch(
        r'warning: line \d: the value of "A" refers to another variable, which is not replaced: '
        "use --expand-env, or put it in single quotes to keep it as it is",
        message,
    )


@pytest.mark.parametrize(
    "value", ["$(date)", "`date`", 'x-"$(date)"', '"a `b` c"', '"$(echo \\"x\\")"'], ids=repr
)
@pytest.mark.parametrize("environ", [None, {}], ids=["literal", "expanded"])
def test_a_command_that_is_not_run_is_told(value: str, environ: dict[str, str] | None) -> None:
    _, faults = parse(f"A={value}", environ)
    (told,) = (str(fault) for fault in faults if fault.is_warning)
    assert told == (
        'line 1: the value of "A" has a command in it, which is not run: '
        "put it in single quotes to keep it as it is"
    )


@pytest.mark.parametrize(
    "value", ["'$(date)'", '"\\$(date)"', "a`b", "pa$(x", "'`date`'", "$)(", r"\`x\`"], ids=repr
)
def test_what_a_shell_would_not_run_is_no_command(value: str) -> None:
    assert messages_of(f"A={value}") == []


@pytest.mark.parametrize("text", ["A='${B}'", 'A="\\${B}"', "A=pa$$word", "A=$B", "A=x$"], ids=repr)
def test_what_is_meant_literally_is_no_reference(text: str) -> None:
    assert messages_of(text) == []


@pytest.mark.parametrize(
    ("value", "expanded"),
    [
        ("${X}/$Y", "file/caller"),
        ('"${X}" # c', "file"),
        ("'${X}'", "${X}"),
        ('"\\${X}"', "${X}"),
        ("$NONE|${NONE:-default}|${NONE-other}|${X:-default}", "|default|other|file"),
        ("a$|$1|${}|${X", "a$|$1|${}|${X"),
        (r"costs \$X now", r"costs \$X now"),
    ],
)
def test_references_are_replaced_by_what_was_read_before_or_the_environment(
    value: str, expanded: str
) -> None:
    config, faults = parse(f"X=file\nA={value}", {"X": "caller", "Y": "caller"})
    assert (config["A"], faults) == (expanded, ())


@pytest.mark.parametrize("value", ['{"a": 1} # b', "[1,2]", "'{'", '"[" # c'])
def test_json_may_be_a_value(value: str) -> None:
    assert messages_of(f"A={value}") == []


@pytest.mark.parametrize("value", ['{"url": "x #y"}', "{", "[1,\n2]=x"])
def test_json_that_is_cut_off_is_told(value: str) -> None:
    assert messages_of(f"A={value}")[0] == (
        f'warning: line 1: the value of "A" begins with "{value[0]}" and is not closed on its '
        "line, or is cut at a #: put it in single quotes"
    )


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_no_text_is_too_much_for_the_parser(text: str) -> None:
    for environ in (None, {"A": "x"}):
        config, _ = parse(text, environ)
        assert all(isinstance(value, str) for value in config.values())


@pytest.mark.parametrize(
    "text",
    [
        "A=" + " " * 1_000_000,
        "A=" + "a" * 1_000_000 + " b\\ ",
        "A=" + "\\'" * 500_000 + " x",
        "A='\nK=\"'" * 100_000,
        'A="\\' * 300_000,
        "A" * 1_000_000,
        "A=" + "${" * 500_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_no_text_takes_longer_than_it_is_long(text: str) -> None:
    """A reader that went back for each character would take hours; a slow machine, seconds."""
    begin = time.process_time()
    parse(text, {})
    assert time.process_time() - begin < 60


@pytest.mark.parametrize("write", [shlex.quote, in_double_quotes, of_heroku])
@given(config=st.dictionaries(NAMES, VALUES))
def test_what_a_shells_quoting_writes_comes_back(
    write: Callable[[str], str], config: dict[str, str]
) -> None:
    text = "".join(f"{name}={write(value)}\n" for name, value in config.items())
    assert read(text.encode()) == (config, ())


@pytest.mark.parametrize("write", [shlex.quote, in_double_quotes, of_heroku])
@given(
    config=st.dictionaries(
        NAMES, st.text(alphabet=st.characters(exclude_characters="\0\r", codec="utf-8"))
    )
)
def test_windows_line_endings_and_a_byte_order_mark_change_no_value(
    write: Callable[[str], str], config: dict[str, str]
) -> None:
    text = "".join(f"{name}={write(value)}\n" for name, value in config.items())
    assert read(codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode()) == (config, ())


@pytest.mark.parametrize(
    "command",
    [
        ("sh", "-c", "export -p"),
        ("bash", "-c", "export -p"),
        ("bash", "--posix", "-c", "export -p"),
        ("bash", "-c", 'printf "A=%q\\n" "$A"'),
        ("bash", "-c", 'echo "A=${A@Q}"'),
        ("zsh", "-fc", "export -p"),
        ("zsh", "-fc", "print -r A=${(qqqq)A}"),
    ],
    ids=str,
)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@given(value=VALUES)
def test_what_a_shell_itself_writes_comes_back(
    command: Sequence[str], locale: str, value: str
) -> None:
    if command[0] == "zsh":
        value = _known_to_zsh(value, locale)
    environ = {"PATH": os.defpath, "LC_ALL": locale, "A": value}
    written = subprocess.run(command, env=environ, capture_output=True, check=True).stdout
    config, _ = read(written)
    assert config["A"] == value


def _known_to_zsh(value: str, locale: str) -> str:
    """Leave out what `export -p` of zsh 5.9 writes so that zsh itself reads it otherwise."""
    if locale == "C":
        value = value.encode("ascii", "ignore").decode()
    return re.sub("[\x1c\x80-\x9f]", "", value)


def test_every_line_of_what_a_shell_exports_is_read() -> None:
    environ = {"PATH": f"{os.defpath}:/a b:", "HISTSIZE": "5", "A": "it's\n\x01"}
    for words in (["zsh", "-fc"], ["bash", "-c"], ["bash", "--posix", "-c"], ["sh", "-c"]):
        done = subprocess.run([*words, "export -p"], env=environ, capture_output=True, check=True)
        config, faults = read(done.stdout)
        assert {name: config[name] for name in environ} == environ
        assert all(fault.is_warning for fault in faults)


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("A='x\r\ny'\nB='x\ry'\n", {"A": "x\r\ny", "B": "x\ry"}),
        ('A="x\r\ny"\r\n', {"A": "x\ny"}),
        ("A='x'\r\nB=x # y\r\nC=x\\\r\nD=\n", {"A": "x", "B": "x", "C": "x\\", "D": ""}),
    ],
    ids=repr,
)
def test_a_carriage_return_is_part_of_a_value_in_quotes_only(
    text: str, config: dict[str, str]
) -> None:
    assert read(text.encode()) == (config, ())


def test_what_bash_escapes_comes_back() -> None:
    values = ["it's", "a b", "$5", "`x`", '"', "a;b&c|d", "(x) [y] {z}", "~ # !", "*?", "\\\\ "]
    done = subprocess.run(
        ["bash", "-c", 'printf "%q\\n" "$@"', "bash", *values],
        capture_output=True,
        text=True,
        check=True,
    )
    for value, written in zip(values, done.stdout.splitlines(), strict=True):
        assert parse(f"A={written}") == ({"A": value}, ()), written


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
