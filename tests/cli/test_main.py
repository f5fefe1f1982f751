from __future__ import annotations

import sys

import pytest

from hsup.cli.main import is_plain_start, main, words_of_plain_run
from hsup.cli.starting import start_types
from hsup.cli.supervising import Request
from tests.cli.calling import call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "true"], ("true",)),
        (["run", "echo", "--app", "x", "--"], ("echo", "--app", "x", "--")),
        (["run", "--", "-x", "--"], ("-x", "--")),
        (["run", ""], ("",)),
        (["run", "--"], ()),
        (["run"], ()),
        (["run", "-d", "simple", "true"], ()),
        (["run", "--help"], ()),
        (["-v", "run", "true"], ()),
        (["start", "web"], ()),
        (["runs", "true"], ()),
        ([], ()),
    ],
    ids=str,
)
def test_a_run_without_options_has_the_words_that_click_finds(
    arguments: list[str], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setattr("hsup.cli.run.run", lambda words, _: found.append(words))
    call(*arguments)
    assert words_of_plain_run(arguments) == words
    assert words in {(), *found}


@pytest.mark.parametrize("words", [[], ["web=2", "worker"]], ids=str)
def test_a_start_without_options_is_the_one_that_click_finds(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []
    monkeypatch.setattr("hsup.cli.start.start", asked.append)
    monkeypatch.setattr("hsup.cli.starting.start", asked.append)
    assert is_plain_start(["start", *words])
    call("start", *words)
    start_types(words)
    of_click, plain = asked
    assert plain.options.settings() == of_click.options.settings()
    assert plain._replace(options=of_click.options) == of_click


@pytest.mark.parametrize("arguments", [["start", "-p", "7000"], ["start", "--help"], ["run", "x"]])
def test_any_other_start_is_not_plain(arguments: list[str]) -> None:
    assert not is_plain_start(arguments)


@pytest.mark.usefixtures("directory")
def test_a_variable_that_stands_for_an_option_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, variable in ((["run", "true"], "HSUP_GRACE"), (["start"], "HSUP_STAY")):
        monkeypatch.setattr(sys, "argv", ["hsup", *words])
        monkeypatch.setenv(variable, "x")
        with pytest.raises(SystemExit):
            main()
        assert f"{variable} must be " in capsys.readouterr().err
        monkeypatch.delenv(variable)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["build", "-d", "nosuch"], 2, 'hsup: there is no driver "nosuch"; choose from '),
        (["start", "web=x"], 2, 'hsup: "web=x": the quantity must be a whole number'),
    ],
    ids=str,
)
@pytest.mark.usefixtures("directory")
def test_an_error_is_told_in_one_line_with_its_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    text: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["hsup", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    assert ended.value.code == status
    assert captured.out == ""
    assert captured.err.startswith(text)
    assert captured.err.count("\n") == 1
