from __future__ import annotations

import pytest

from hsup.errors import DriverError
from hsup_driver_docker.engine import reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "name",
    [
        "debian",
        "debian:12",
        "heroku/heroku:24",
        "localhost:5000/a/b_c/d__e/f---g.h:V1.2-x_",
        "Registry.example.com/shop",
        "[fd00::1]:5000/shop",
        f"shop@{DIGEST}",
        f"127.0.0.1:5000/shop:v1@{DIGEST}",
        DIGEST,
        "a/" * 100 + "b:" + "t" * 128,
    ],
)
def test_a_name_of_the_grammar_is_taken(name: str) -> None:
    reference.check(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../containers/json",
        "../../containers",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        "shop/json?x=",
        "shop#x",
        "sh%2e%2e",
        "Shop",
        "a b",
        "a\n",
        "a\r\nX: y",
        "a\0",
        "ä",
        "a:٢٤",
        "a:",
        "a:" + "t" * 129,
        "a/" * 130 + "b",
    ],
)
def test_another_is_refused(name: str) -> None:
    with pytest.raises(DriverError, match="is not a valid image name; write a name such as debian"):
        reference.check(name)


@pytest.mark.parametrize(
    "name", ["me:secret@registry.example.com/shop", f"me:secret@shop@{DIGEST}", "secret@sha256:12"]
)
def test_what_may_be_a_password_is_not_told(name: str) -> None:
    with pytest.raises(DriverError, match="passwords to docker login") as caught:
        reference.check(name)
    assert "secret" not in str(caught.value)


def test_a_refused_name_is_told_without_its_control_characters() -> None:
    with pytest.raises(DriverError) as caught:
        reference.check("a\x1b[31m")
    assert str(caught.value).startswith(r'"a\x1b[31m" is not')
