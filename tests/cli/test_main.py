from __future__ import annotations

import sys

import pytest

from hsup.cli.main import main, words_of_plain_run
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
    assert words_of_plain_run(arguments, {"HOME"}) == words
    assert words in {(), *found}
    assert words_of_plain_run(arguments, {"HOME", "HSUP_APP"}) == ()


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["build", "-d", "nosuch"], 1, 'hsup: there is no driver "nosuch"; choose from '),
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
