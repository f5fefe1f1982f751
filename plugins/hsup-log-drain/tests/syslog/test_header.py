"""The header of each message."""

from __future__ import annotations

from hsup.api import LogEvent
from hsup_log_drain.syslog.header import header

from .sending import HEAD, STAMP, TOKEN, batch


def test_the_host_name_is_the_token_and_structured_data_is_a_hyphen() -> None:
    assert header(TOKEN)(batch(b"")) == HEAD
    assert b"<190>1 %b %b app web.1 - - " % (STAMP, TOKEN.encode()) == HEAD


def test_lines_of_the_platform_have_its_source_and_priority() -> None:
    of_platform = batch(b"", dyno="web.1", source="heroku")._replace(event=LogEvent("notice"))
    assert header(TOKEN)(of_platform).startswith(b"<45>1 ")
    assert header(TOKEN)(of_platform).endswith(b" heroku web.1 - - ")


def test_losses_have_the_priority_of_a_warning() -> None:
    told = batch(b"", dyno="logplex", source="heroku")._replace(event=LogEvent("error", code="L10"))
    assert header(TOKEN)(told).startswith(b"<172>1 ")
    assert header(TOKEN)(told).endswith(b" heroku logplex - - ")


def test_what_no_field_may_have_becomes_an_underscore() -> None:
    assert header(TOKEN)(batch(b"", dyno="wéb 1]")).endswith(b" app w_b_1] - - ")
