"""How a dyno starts: its environment, the files of the shell, and the command through bash."""

from __future__ import annotations

import pytest

from ftest.program import Hsup, process

pytestmark = pytest.mark.containers_only("the simple driver has this machine's bash and home")


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(one="true")


def environment(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_the_environment_is_the_platforms(hsup: Hsup) -> None:
    (hsup.directory / ".env").write_text("NAME=value\n")
    seen = environment(hsup.call("run", "--", "env").text)
    assert seen["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert (seen["HOME"], seen["PWD"]) == ("/app", "/app")
    assert seen["DYNO"].startswith("run.")
    assert seen["NAME"] == "value"
    assert "\\w" in seen["PS1"]


def test_a_dyno_has_a_port_and_its_name(hsup: Hsup) -> None:
    hsup.procfile(web="env | sort", worker="env | sort")
    done = hsup.call("start", "--oneshot")
    for dyno in ("web.1", "worker.1"):
        assert f"app[{dyno}]: DYNO={dyno}\n" in done.text
    assert "app[web.1]: PORT=" in done.text


def test_config_vars_may_set_the_home_and_path_but_not_the_dyno(hsup: Hsup) -> None:
    config = {"PATH": "/bin:/app/bin", "LANG": "C", "DYNO": "mine"}
    hsup.release(Env=config, Processes=[process("one", "true")])
    seen = environment(hsup.call("run", "--", "/usr/bin/env").text)
    assert (seen["PATH"], seen["LANG"]) == ("/bin:/app/bin", "C")
    assert seen["DYNO"].startswith("run.")


def test_the_files_of_the_shell_are_read_in_order(hsup: Hsup) -> None:
    hsup.files(
        {
            ".profile.d/20-second.sh": 'export ORDER="$ORDER second"',
            ".profile.d/10-first.sh": 'export ORDER="$NAME first"',
            ".profile.d/30-ignored.txt": 'export ORDER="$ORDER ignored"',
            ".profile": 'export ORDER="$ORDER last"',
        }
    )
    (hsup.directory / ".env").write_text("NAME=config\n")
    assert hsup.call("run", "echo $ORDER").text == "config first second last\n"
    assert hsup.call("run", "--", "printenv", "ORDER").text == "config first second last\n"
    hsup.procfile(one="echo $ORDER")
    assert "app[one.1]: config first second last\n" in hsup.call("start", "--oneshot").text


def test_a_program_of_the_slug_is_found_through_the_path_of_a_profile(hsup: Hsup) -> None:
    hsup.files(
        {
            ".profile.d/path.sh": "export PATH=$HOME/bin:$PATH",
            "bin/greet": '#!/bin/bash\necho "greetings, $1"\n',
        }
    )
    assert hsup.call("run", "greet you").text == "greetings, you\n"
    assert hsup.call("run", "--", "greet", "all  of you").text == "greetings, all  of you\n"


def test_a_profile_that_fails_does_not_keep_the_command_from_running(hsup: Hsup) -> None:
    hsup.files({".profile.d/bad.sh": "no-such-program-of-ftest\nfalse\n"})
    done = hsup.call("run", "echo on")
    assert (done.text, done.status) == ("on\n", 0)


def test_what_a_profile_does_for_itself_changes_no_command(hsup: Hsup) -> None:
    script = "set -eu\n[ $# = 0 ] || shift\nset -- other words\nset -f\nexport SEEN=yes\nreturn 3\n"
    hsup.files({".profile.d/a.sh": script, ".profile": "set -o nounset; break\n"})
    argv = ("run", "--", "sh", "-c", 'echo "$SEEN" "$@"', "sh", "a  b", "c")
    assert hsup.call(*argv).text == "yes a  b c\n"
    line = "false; echo $SEEN$UNSET $# /etc/pass*d"
    assert hsup.call("run", line).text == "yes 0 /etc/passwd\n"
    hsup.procfile(one=line)
    assert "app[one.1]: yes 0 /etc/passwd\n" in hsup.call("start", "--oneshot").text


def test_that_a_profile_kept_the_command_from_running_is_told(hsup: Hsup) -> None:
    hsup.files({".profile.d/a.sh": "exit 4\n"})
    done = hsup.call("run", "echo on")
    told = "hsup: /app/.profile.d/a.sh exited with status 4, so the command was not run\n"
    assert (done.text, done.message, done.status) == ("", told, 4)
    hsup.procfile(one="echo on")
    assert f"app[one.1]: {told}" in hsup.call("start", "--oneshot").text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("false && echo a || echo b; echo c", "b\nc\n"),
        ("echo 'a  b' \"$DYNOS\"x $((1 + 2)) {1..3}", "a  b x 3 1 2 3\n"),
        ("[[ abc == a* ]] && cat <<< here | tr e E", "hErE\n"),
        ("A=1 sh -c 'echo $A'; (exit 3) || echo $?", "1\n3\n"),
        ("set -o pipefail; false | true; echo $?", "1\n"),
        ("for i in a b; do\necho $i\ndone", "a\nb\n"),
    ],
)
def test_a_line_is_bashs(hsup: Hsup, line: str, text: str) -> None:
    assert hsup.call("run", line).text == text


def test_the_files_of_the_application_are_executed_by_name(hsup: Hsup) -> None:
    hsup.files({"bin/run": "#!/usr/bin/env python3\nprint('from python')\n"})
    assert hsup.call("run", "bin/run").text == "from python\n"
    assert hsup.call("run", "--", "./bin/run").text == "from python\n"
