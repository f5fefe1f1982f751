from __future__ import annotations

from pathlib import Path

import pytest

from hsup.cli.options import Options
from hsup.cli.options_file import find
from hsup.cli.starting import requested
from hsup.errors import UsageError
from hsup.model import DynoName
from tests.cli.calling import failed


@pytest.fixture
def file(directory: Path) -> Path:
    return directory / "hsup.toml"


def test_the_file_is_found_here_or_above_as_far_as_the_procfile(tmp_path: Path) -> None:
    below = tmp_path / "application" / "below"
    below.mkdir(parents=True)
    (tmp_path / "hsup.toml").touch()
    assert find(str(below), looks_above=True) == str(tmp_path / "hsup.toml")
    assert find(str(below), looks_above=False) is None
    (below.parent / "Procfile").touch()
    assert find(str(below), looks_above=True) is None
    (below.parent / ".foreman").touch()
    assert find(str(below), looks_above=True) == str(below.parent / ".foreman")
    (below.parent / "hsup.toml").touch()
    assert find(str(below), looks_above=True) == str(below.parent / "hsup.toml")


@pytest.mark.parametrize("looks_above", [True, False])
def test_a_file_that_others_may_write_does_not_count(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], *, looks_above: bool
) -> None:
    (tmp_path / "hsup.toml").touch()
    (tmp_path / "hsup.toml").chmod(0o666)
    assert find(str(tmp_path), looks_above=looks_above) is None
    told = (
        f"hsup: warning: {tmp_path}/hsup.toml is ignored: others than you and root may write it\n"
    )
    assert capfd.readouterr().err == told


def test_above_a_directory_that_others_may_write_does_not_count(tmp_path: Path) -> None:
    below = tmp_path / "shared" / "below"
    below.mkdir(parents=True)
    (below.parent / "hsup.toml").touch()
    below.parent.chmod(0o1777)
    assert find(str(below), looks_above=True) is None
    assert find(str(below.parent), looks_above=True) == str(below.parent / "hsup.toml")


def test_the_keys_of_the_file_are_the_long_names_of_options(file: Path) -> None:
    file.write_text(
        """
        driver = "docker"
        port = 4000
        formation = "all=1,web=2"
        grace = 2.5
        oneshot = true
        env-file = ["a.env", "b.env"]
        log-format = "plain"
        start-number = 3
        """
    )
    options = Options({})
    assert options.driver == "docker"
    assert options.port == 4000
    assert options.formation == ("all=1", "web=2")
    assert options.grace_seconds == 2.5
    assert options.one_shot
    names = [str(file.with_name(name)) for name in ("a.env", "b.env")]
    assert options.settings().env_files == tuple(names)
    assert options.log_format == "plain"
    assert options.start_number == 3


def test_the_file_has_the_options_of_start_too(file: Path) -> None:
    file.write_text(
        'tty = true\nabort-on-exit = true\nonly = "web, worker"\nstdin = "web.2"\n'
        'timestamps = false\nlog-format = "screen"\nquantities = "release"\nstay = true\n'
    )
    request = requested(Options({}))
    assert request.has_terminals
    assert request.aborts_on_exit
    assert request.stays
    assert request.only == ("web", "worker")
    assert request.reader == DynoName("web", 2)
    assert request.look == {"has_times": False}
    assert request.asked.follows_release
    assert request.called["--tty"] == f'{file}: "tty"'
    request = requested(Options({"tty": False, "only": ("web",), "quantities": "one"}))
    assert not request.has_terminals
    assert request.only == ("web",)
    assert not request.asked.follows_release


def test_an_option_of_start_in_the_file_is_named_by_its_key(file: Path) -> None:
    (file.parent / "Procfile").write_text("web: ./serve\n")
    file.write_text('only = "wbe"\n')
    told = f'{file}: "only": no dyno "wbe" is started; choose from web'
    assert str(failed("start")) == told
    file.write_text('stdin = "."\n')
    assert str(failed("start")).startswith(f'{file}: "stdin" must be the name of a dyno')


def test_paths_in_the_file_lead_from_its_directory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('procfile = "Procfile.dev"\nenv-file = ["a.env,b.env", "/c.env"]\n')
    (file.parent / "below").mkdir()
    monkeypatch.chdir(file.parent / "below")
    settings = Options({}).settings()
    assert settings.procfile == str(file.with_name("Procfile.dev"))
    names = [str(file.with_name(name)) for name in ("a.env", "b.env")]
    assert settings.env_files == (*names, "/c.env")
    assert settings.directory == str(file.parent)


def test_what_the_user_says_overrides_the_file(file: Path) -> None:
    file.write_text('port = 4000\nenv-file = "file.env"\ndriver = "docker"\noneshot = true\n')
    options = Options({"port": 5000}).refined({"env_files": ("mine.env",), "oneshot": False})
    assert options.port == 5000
    assert options.settings().env_files == (str(file.with_name("mine.env")),)
    assert options.driver == "docker"
    assert not options.one_shot


def test_a_path_may_have_a_comma_in_the_directory_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "a,b"
    directory.mkdir()
    (directory / "hsup.toml").write_text('env-file = "x.env,y.env"\nprocfile = "P,dev"\n')
    monkeypatch.chdir(directory)
    settings = Options({}).settings()
    assert settings.env_files == (f"{directory}/x.env", f"{directory}/y.env")
    assert settings.procfile == f"{directory}/P,dev"


def test_of_a_directory_that_the_user_names_the_file_is_read(file: Path) -> None:
    file.write_text("port = 4000\n")
    (file.parent / "other").mkdir()
    (file.parent / "other" / "hsup.toml").write_text("port = 4500\n")
    assert Options({"root": "other"}).port == 4500


def test_the_file_of_foreman_is_read_too(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (file.parent / ".foreman").write_text(
        "\N{ZERO WIDTH NO-BREAK SPACE}# as man 1 foreman has it\n"
        "port: 5250\nconcurrency: web=1,worker=2\nenv: dev.env\ntimeout: 3\ncolor: true\n"
        "timestamp: false\nx: 1\n"
    )
    options = Options({})
    assert (options.port, options.formation) == (5250, ("web=1", "worker=2"))
    assert options.grace_seconds == 3
    assert options.look == {"has_times": False}
    assert options.settings().env_files == (str(file.with_name("dev.env")),)
    (told,) = capfd.readouterr().err.splitlines()
    warning = f"warning: {file.parent}/.foreman"
    assert told == f'hsup: {warning}: "x" is not an option that a file can set and is ignored'


def test_an_empty_file_says_nothing(file: Path) -> None:
    for name in ("hsup.toml", ".foreman"):
        file.with_name(name).write_text("# nothing\n")
        assert Options({}).driver == "simple"
        file.with_name(name).unlink()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("prot = 1\n", '"prot" is not an option that a file can set; did you mean "port"?'),
        ("strict = true\n", '"strict" is not an option that a file can set; choose from '),
        ("tty = 1\n", '"tty" must be true or false, got 1'),
        (
            "xyzzy = 1\n",
            '"xyzzy" is not an option that a file can set; choose from abort-on-exit, app, ',
        ),
        ('port = "x"\n', '"port" must be "auto" or a number from 1 to 65535, got "x"'),
        ("port = true\n", '"port" must be a string or a number, got true'),
        ("port = [1]\n", '"port" must be a single value, got a list'),
        ("oneshot = 1\n", '"oneshot" must be true or false, got 1'),
        ('oneshot = "yes"\n', '"oneshot" must be true or false, got "yes"'),
        ("[driver]\na = 1\n", '"driver" must be a string or a number, got a table'),
        ("env-file = [[]]\n", '"env-file" must be a string or a number, got a list'),
        ('log-format = "x"\n', '"log-format" must be "screen", "heroku"'),
        ("grace = -1\n", '"grace" must be a number of seconds, 0 or more, got "-1"'),
        ('root = "a\\u0000"\n', '"root" must be text without NUL, got a NUL character'),
        ('procfile = "\\u0000"\n', '"procfile" must be text without NUL'),
        ('env-file = ["\\u0000"]\n', '"env-file" must be text without NUL'),
        (f"port = 0x{'f' * 4000}\n", 'got "a number of thousands of digits"'),
        (f"oneshot = 0x{'f' * 4000}\n", "got a number of thousands of digits"),
        (f"port = {{a = 0x{'f' * 4000}}}\n", "got a table"),
        ('procfile = ""\n', '"procfile" must name a file, got ""'),
        ('root = ""\n', '"root" must name a directory, got ""'),
        ('env-file = ["a.env", ""]\n', '"env-file" must name a file, got ""'),
        ("port = 2024-01-01\n", "must be a string or a number, got a date"),
        ('root = ".."\n', '"root" must not lead out of the directory of the file, got ".."'),
        ('root = "/"\n', '"root" must not lead out of the directory of the file, got "/"; use'),
        ('bind = ["/etc:/x"]\n', "as this one comes with the code; use --bind or HSUP_BIND"),
        ('pass-env = "*"\n', "as this one comes with the code; use --pass-env or HSUP_PASS_ENV"),
        ('control-socket = "x"\n', "; use --control-socket or HSUP_CONTROL_SOCKET"),
        ('drain = "https://s3cret@x"\n', "; use --drain or HSUP_DRAIN"),
        ('drain = ["https://x"]\n', "; use --drain or HSUP_DRAIN"),
        ("follow-drains = true\n", "; use --follow-drains or HSUP_FOLLOW_DRAINS"),
        ('logplex-url = "x"\n', "; use --logplex-url or HSUP_LOGPLEX_URL"),
        ("port = \n", "line 1, column 8: Invalid value; write lines such as port = 5000"),
    ],
    ids=lambda value: value[:20].strip(),
)
def test_a_fault_is_told_with_the_file_and_the_key(file: Path, content: str, told: str) -> None:
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        Options({}).settings()
    assert str(file) in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (".foreman", b"- a\n- b\n", "must be lines such as port: 5000"),
        (".foreman", b"port: 1\nenv: [\n", "line 3: must be lines such as port: 5000"),
        (".foreman", b"port: 1\n env: x\n", "line 2: must be lines such as port: 5000"),
        (".foreman", b"port: !!bool foo\n", "must be lines such as port: 5000"),
        (".foreman", b"a: !!python/object:os.system x\n", "line 1: must be lines such as"),
        *(
            (name, content, told)
            for name in (".foreman", "hsup.toml")
            for content, told in (
                (b"#\n# caf\xe9\n", "line 2: must be UTF-8 text, got the byte 0xe9: save it as"),
                ("port".encode("utf-16"), "must be UTF-8 text, got UTF-16: save it as UTF-8"),
                (b"\n\0", "line 2: must be text, got a NUL byte"),
            )
        ),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_read_is_named(
    file: Path, name: str, content: bytes, told: str
) -> None:
    file.with_name(name).write_bytes(content)
    with pytest.raises(UsageError, match=f"^cannot read {file.with_name(name)}: {told}"):
        _ = Options({}).driver


def test_a_root_may_be_below_the_file_but_no_link_leads_out_of_it(file: Path) -> None:
    (file.parent / "below").mkdir()
    file.write_text('root = "below"\n')
    assert Options({}).settings().directory == str(file.parent / "below")
    (file.parent / "link").symlink_to("/")
    file.write_text('root = "link"\n')
    with pytest.raises(UsageError, match='"root" must not lead out'):
        Options({}).settings()


def test_a_key_of_foremans_file_may_be_of_any_kind(file: Path) -> None:
    (file.parent / ".foreman").write_text(f"port: 4000\n? 0x{'f' * 4000}\n: 1\n2024-01-01: 1\n")
    assert Options({}).port == 4000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('driver = "foo"', '"driver": there is no driver "foo"; choose from '),
        ('source = "foo"', '"source": there is no source "foo"; choose from '),
        ('procfile = "nope"', '"procfile": cannot read {}/nope: '),
        ('env-file = "nope"', '"env-file": cannot read {}/nope: '),
        ('formation = "web"', '"formation": "web": the quantity is missing, as in web=2'),
        ("grace = inf", '"grace" must be a number of seconds, 0 or more, got "inf"'),
    ],
)
def test_an_error_of_a_value_of_the_file_names_the_file(
    file: Path, content: str, told: str
) -> None:
    file.write_text(f"{content}\n")
    expected = f"{file}: {told.format(file.parent)}"
    assert str(failed("start")).startswith(expected)
