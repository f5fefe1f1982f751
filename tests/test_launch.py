from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.errors import DriverError
from hsup.launch import (
    START_UP,
    START_UP_FILE,
    Ports,
    dyno_spec,
    environment,
    one_off_command,
    one_off_name,
    start_up,
)
from hsup.model import Bind, Command, DynoName, ProcessType, Release, Slug
from hsup.terminal import FORWARDED
from hsup.testing import make_release, make_spec

DYNO_NAMES = st.builds(DynoName, st.sampled_from(["web", "worker", "clock"]), st.integers(1, 250))
LEASES = st.lists(st.tuples(st.booleans(), DYNO_NAMES), max_size=60)


def test_a_dyno_has_the_config_and_its_port_and_name():
    spec = make_spec("web.2", port=5001, config={"RACK_ENV": "production"})
    assert environment(spec) == {"RACK_ENV": "production", "PORT": "5001", "DYNO": "web.2"}


def test_config_cannot_override_port_and_name():
    spec = make_spec("web.2", port=5001, config={"PORT": "80", "DYNO": "me"})
    assert environment(spec) == {"PORT": "5001", "DYNO": "web.2"}


def test_config_has_the_port_where_the_release_sets_it():
    spec = make_spec("web.2", port=None, config={"PORT": "80"})
    assert environment(spec) == {"PORT": "80", "DYNO": "web.2"}


def test_the_config_of_a_release_is_left_as_it_is():
    spec = make_spec(config={"A": "1"})
    environment(spec)
    assert spec.config == {"A": "1"}


def test_a_spec_has_all_of_its_release_that_matters(tmp_path):
    bind = Bind(host=tmp_path, dyno=tmp_path)
    release = make_release(version=9, config={"A": "1"})._replace(
        slug=Slug("slug.tgz"), stack="heroku-24"
    )
    spec = dyno_spec(
        release, DynoName("web", 1), Command(("x",)), port=5000, size="eco", binds=(bind,)
    )
    assert (spec.config, spec.slug, spec.stack) == ({"A": "1"}, Slug("slug.tgz"), "heroku-24")
    assert (spec.app, spec.release_version, spec.binds) == ("shop", 9, (bind,))
    assert (spec.port, spec.size) == (5000, "eco")


def metadata_of(release: Release, number: int = 1) -> dict[str, str]:
    name = DynoName("web", number)
    spec = dyno_spec(release, name, Command(("x",)), port=5000, has_metadata=True)
    variables = environment(spec)
    return {name: variables[name] for name in variables if name.startswith("HEROKU_")}


def test_a_dyno_has_metadata_where_that_is_asked_for():
    commit = {"HEROKU_SLUG_COMMIT": "5ca1e"}
    release = make_release(version=42, config={"HEROKU_APP_NAME": "mine"})._replace(metadata=commit)
    metadata = metadata_of(release)
    assert UUID(metadata.pop("HEROKU_DYNO_ID"))
    assert metadata == {
        "HEROKU_APP_NAME": "shop",
        "HEROKU_RELEASE_VERSION": "v42",
        "HEROKU_SLUG_COMMIT": "5ca1e",
    }
    spec = dyno_spec(release, DynoName("web", 1), Command(("x",)), port=5000)
    assert environment(spec) == {"HEROKU_APP_NAME": "mine", "PORT": "5000", "DYNO": "web.1"}


def test_a_dyno_keeps_its_id_as_long_as_the_release_runs():
    def ids(release):
        return [metadata_of(release, number)["HEROKU_DYNO_ID"] for number in (1, 2)]

    assert ids(make_release(version=1)) == ids(make_release(version=1))
    assert len({*ids(make_release(version=1)), *ids(make_release(version=2))}) == 4


def test_a_one_off_has_four_digits():
    name = one_off_name("run")
    assert name.type == "run"
    assert 1000 <= name.number <= 9999


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("worker",), ("work $QUEUE && true",)),
        (("worker", "42", "a b"), ("work $QUEUE && true 42 'a b'",)),
        (("worker 42 | cat",), ("work $QUEUE && true 42 | cat",)),
        (("argv",), ("./serve", "a  b")),
        (("argv", "42", "$HOME"), ("./serve", "a  b", "42", "$HOME")),
        (("argv $HOME",), ("./serve 'a  b' $HOME",)),
        (("workers",), ("workers",)),
        (("echo", "worker"), ("echo", "worker")),
        (("bash -c worker",), ("bash -c worker",)),
        (("own", "x"), ("own", "x")),
        ((" ",), (" ",)),
    ],
)
def test_a_type_stands_for_its_command_with_what_follows_it(words, expected):
    commands = {"worker": ("work $QUEUE && true",), "argv": ("./serve", "a  b"), "own": ()}
    processes = tuple(ProcessType(name, Command(one)) for name, one in commands.items())
    release = Release(app="shop", version=1, processes=processes)
    assert one_off_command(release, words) == Command(expected)


def started(
    folder: Path, command: Command, *scripts: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Start a command as a dyno with these scripts in its .profile.d does."""
    app, file = folder / "app", folder / "start-up.sh"
    (app / ".profile.d").mkdir(parents=True)
    for number, script in enumerate(scripts):
        (app / f".profile.d/{number}.sh").write_text(f"{script}\n")
    file.write_text(START_UP.replace("/app/", f"{app}/"))
    argv = [word.replace(START_UP_FILE, str(file)) for word in start_up(command)]
    variables = {"PATH": "/usr/bin:/bin", **(env or {})}
    return subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)


#: What a script in .profile.d may do that is nothing to the command.
OWN_AFFAIRS = [
    "set -- other words",
    "shift",
    "return 3",
    "set -e; return 3",
    "set -euo pipefail",
    "set -f; IFS=ab",
    "set -k; set +B; set -a",
    "shopt -s failglob nullglob",
    "set -o posix",
    "set -x",
    "break",
    "continue",
    "nosuchprogram; false",
]


@pytest.mark.parametrize("script", OWN_AFFAIRS)
def test_what_a_script_does_for_itself_changes_no_argv(tmp_path, script):
    command = Command(("sh", "-c", 'echo "$NEXT" $# "$@"', "sh", "a  b", "", "c"))
    done = started(tmp_path, command, script, "export NEXT=next")
    assert (done.stdout, done.returncode) == ("next 3 a  b  c\n", 0)


@pytest.mark.parametrize("script", OWN_AFFAIRS)
def test_what_a_script_does_for_itself_changes_no_line(tmp_path, script):
    line = "false; A='xa  xb'; echo $NEXT $A $# $UNSET *nosuch {1,2} $-"
    done = started(tmp_path, Command((line,)), script, "NEXT=next")
    assert (done.stdout, done.returncode) == ("next xa xb 0 *nosuch 1 2 hBc\n", 0)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 4", 4),
        ("set -e; . /dev/null; false", 1),
        ("set -u; : $nosuch", 127),
        ("exec nosuch", 127),
    ],
)
def test_that_a_script_kept_the_command_from_running_is_told(tmp_path, script, status):
    done = started(tmp_path, Command(("echo", "ran")), "true", script)
    told = f"/1.sh exited with status {status}, so the command was not run\n"
    assert (done.stdout, done.returncode) == ("", status)
    assert done.stderr.endswith(told)


def test_a_trap_of_a_script_is_kept_for_a_line(tmp_path):
    done = started(tmp_path, Command(("echo line; exit 2",)), "trap 'echo bye' EXIT")
    assert (done.stdout, done.stderr, done.returncode) == ("line\nbye\n", "", 2)


#: Prints the signals that bash catches; see man 5 proc_pid_status.
PRINT_CAUGHT = (
    'while read -r KEY MASK; do [ "$KEY" != SigCgt: ] || echo $MASK; done </proc/$$/status'
)


def test_a_signal_ends_a_command_at_once_whatever_was_read_before_it(tmp_path):
    """What bash catches until it executes something is lost if it comes just then.

    It always catches SIGINT where it has had a trap for EXIT.
    """
    done = started(tmp_path, Command((PRINT_CAUGHT,)), PRINT_CAUGHT)
    masks = [int(mask, 16) for mask in done.stdout.split()]
    ending = {*FORWARDED} - {signal.SIGINT}
    caught = [one for mask in masks for one in ending if mask & 1 << one - 1]
    assert (len(masks), caught) == (2, [])


def test_a_command_that_fails_is_nothing_to_tell(tmp_path):
    for number, script in enumerate([(), ("export A=1",)]):
        done = started(tmp_path / str(number), Command(("exit 3",)), *script)
        assert (done.stderr, done.returncode) == ("", 3)


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "LC_CTYPE"])
def test_that_a_locale_is_missing_is_told_once_at_most(tmp_path, name):
    done = started(tmp_path, Command(("echo ran",)), "true", env={name: "xx_YY.UTF-8"})
    assert done.stdout == "ran\n"
    assert done.stderr.count("cannot change locale") <= 1


@pytest.mark.parametrize(
    ("name", "port"),
    [
        (DynoName("web", 1), 5000),
        (DynoName("web", 100), 5099),
        (DynoName("worker", 1), 5100),
        (DynoName("worker", 3), 5102),
        (DynoName("clock", 1), 5200),
    ],
    ids=str,
)
def test_a_port_is_known_beforehand(name, port):
    assert Ports(["web", "worker", "clock"]).lease(name) == port


def test_a_dyno_keeps_its_port():
    ports = Ports(["web"])
    assert ports.lease(DynoName("web", 1)) == ports.lease(DynoName("web", 1))


def test_a_type_keeps_its_index_when_others_come():
    ports = Ports(["web", "worker"])
    ports.know(["admin", "worker", "web"])
    assert ports.lease(DynoName("worker", 1)) == 5100
    assert ports.lease(DynoName("admin", 1)) == 5200


def test_a_type_that_nobody_named_before_gets_the_next_index():
    assert Ports(["web"]).lease(DynoName("run", 1)) == 5100


def test_a_port_that_another_type_has_reached_is_skipped():
    ports = Ports(["web", "worker"])
    assert ports.lease(DynoName("web", 101)) == 5100
    assert ports.lease(DynoName("worker", 1)) == 5101
    assert ports.lease(DynoName("worker", 2)) == 5102


def test_a_port_that_was_given_back_is_given_again():
    ports = Ports(["web"])
    ports.lease(DynoName("web", 1))
    ports.release(DynoName("web", 1))
    assert ports.lease(DynoName("web", 1)) == 5000


def test_giving_back_what_was_never_taken_does_nothing():
    ports = Ports(["web"])
    ports.release(DynoName("web", 9))
    assert ports.lease(DynoName("web", 9)) == 5008


@given(calls=LEASES)
def test_no_two_dynos_have_the_same_port(calls):
    ports = Ports(["web", "worker"])
    leases: dict[DynoName, int] = {}
    for is_lease, name in calls:
        if is_lease:
            port = ports.lease(name)
            assert leases.setdefault(name, port) == port
        else:
            ports.release(name)
            leases.pop(name, None)
        assert len(set(leases.values())) == len(leases)


@given(number=st.integers(1, 10**6), types=st.integers(1, 1000))
def test_a_port_is_one_that_there_is(number, types):
    names = [f"type{index}" for index in range(types)]
    assert 5000 <= Ports(names).lease(DynoName(names[-1], number)) <= 65535


def test_when_no_port_is_left_it_is_said():
    ports = Ports(["web"])
    for number in range(1, 65535 - 5000 + 2):
        ports.lease(DynoName("web", number))
    with pytest.raises(DriverError, match="no port is left"):
        ports.lease(DynoName("web", 70_000))
