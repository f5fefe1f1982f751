from __future__ import annotations

import pytest

from hsup.errors import DriverError, UsageError
from hsup_driver_docker.images.stacks import Stacks


@pytest.mark.parametrize(
    ("stack", "image"),
    [
        ("heroku-24", "heroku/heroku:24"),
        ("heroku-22", "heroku/heroku:22"),
        ("cedar-14", "heroku/cedar:14"),
        (None, "heroku/heroku:24"),
    ],
)
def test_the_stacks_of_the_platform_are_its_images(stack: str | None, image: str) -> None:
    assert Stacks({}).image(stack) == image


def test_the_variable_comes_first() -> None:
    stacks = Stacks({"DOCKER_STACKS": "cedar-14=my.host:5000/cedar:14 mine=debian:12"})
    assert stacks.image("cedar-14") == "my.host:5000/cedar:14"
    assert stacks.image("mine") == "debian:12"
    assert stacks.image("heroku-24") == "heroku/heroku:24"


def test_an_unknown_stack_is_an_error_that_says_what_to_set() -> None:
    with pytest.raises(DriverError, match='for the stack "mine"; set DOCKER_STACKS=mine=IMAGE'):
        Stacks({}).image("mine")


@pytest.mark.parametrize("word", ["cedar-14", "cedar-14=", "=debian:12"])
def test_a_variable_that_makes_no_sense_is_bad_usage(word: str) -> None:
    with pytest.raises(UsageError, match=f'DOCKER_STACKS: "{word}" is not of the form STACK=IMAGE'):
        Stacks({"DOCKER_STACKS": f"a=b {word}"})
