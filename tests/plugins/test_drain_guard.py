"""What messages about a drain may tell of its URL."""

from __future__ import annotations

import pytest

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
