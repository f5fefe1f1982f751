"""What messages about a drain may tell of its URL."""

from __future__ import annotations

import pytest

from hsup.drains.urls import read
from hsup.log_drain import DrainURL
from hsup.plugins.drain_guard import without_secrets


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ((("ca", "/etc/ca.pem"),), "cannot read /etc/ca.pem"),
        ((("token", "/etc/ca.pem"),), "cannot read ..."),
        ((("key", "/etc/ca.pem"),), "cannot read ..."),
        ((("cert", "cert.pem"), ("key", "/etc/ca.pem")), "cannot read /etc/ca.pem"),
    ],
)
def test_files_are_named_and_nothing_else_that_parameters_have(
    parameters: tuple[tuple[str, str], ...], shown: str
) -> None:
    url = DrainURL("syslog+tls", "logs.example", parameters=parameters)
    assert without_secrets("cannot read /etc/ca.pem", url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("POST ?key=s3c%2Fret&T0k-en failed", "POST ?... failed"),
        ("s3c%2Fret and s3c/ret", "... and ..."),
        ('no parameter "T0k-en"', 'no parameter "..."'),
    ],
)
def test_nothing_of_a_query_is_told_as_it_was_written_or_decoded(text: str, shown: str) -> None:
    assert without_secrets(text, read("https://logs.example/?key=s3c%2Fret&T0k-en")) == shown


def test_a_value_is_not_told_as_it_was_written_without_the_rest_of_its_query() -> None:
    url = read("https://logs.example/?gzip&key=s3c%2Fret&T0k-en")
    assert without_secrets("POST ?key=s3c%2Fret&T0k-en", url) == "POST ?key=...&..."
    assert (
        without_secrets('parameter "gzip" must be 0 or 1', url) == 'parameter "gzip" must be 0 or 1'
    )
