from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.drains import urls
from hsup.drains.destinations import LOGPLEX, wanted
from hsup.errors import UsageError

SECRETS = ("user", "s3cret%21", "tok-en", "f00d")
FULL = "https://user:s3cret%21@logs.example:8443/tok-en/in?key=f00d&buffer=64K"


def test_the_parts_of_a_url_are_decoded_where_they_are_used() -> None:
    url = urls.read(FULL)
    assert (url.scheme, url.host, url.port) == ("https", "logs.example", 8443)
    assert (url.user, url.password, url.path) == ("user", "s3cret!", "/tok-en/in")
    assert url.parameters == (("key", "f00d"), ("buffer", "64K"))


def test_what_may_be_secret_is_never_shown() -> None:
    url = urls.read(FULL)
    for shown in (str(url), repr(url), f"{url}", repr([url])):
        assert "https://logs.example:8443" in shown
        assert not any(secret in shown for secret in (*SECRETS, "s3cret"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("file:/var/log/app.log?size=10M", "file:/var/log/app.log"),
        ("file:///var/log/app.log", "file:/var/log/app.log"),
        ("syslog://[::1]:514", "syslog://[::1]:514"),
        ("SYSLOG+TLS://Logs.Example", "syslog+tls://logs.example"),
        ("journal:", "journal:"),
        ("otlp+http://localhost:4318/v1/logs", "otlp+http://localhost:4318"),
    ],
)
def test_a_destination_is_called_by_what_is_no_secret(text: str, shown: str) -> None:
    assert str(urls.read(text)) == shown


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("logs.example", "it is not a URL: it has no scheme"),
        ("", "it is not a URL: it has no scheme"),
        ("https://us er:pw@x", "its URL has a blank; write it as %20"),
        ("https://x/\x1b[2J", "its URL "),
        ("https://[::1", "its URL cannot be parsed after https:"),
        ("https://x:99999/", "its URL cannot be parsed after https:"),
        ("https://x:port/", "its URL cannot be parsed after https:"),
        ("https://x/#frag", "its URL has a fragment; write # as %23"),
    ],
)
def test_what_is_wrong_with_a_url_is_told_without_it(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        urls.read(text)
    assert str(raised.value).startswith(problem)


@given(text=st.text(max_size=60))
def test_any_text_is_a_url_or_bad_usage(text: str) -> None:
    try:
        url = urls.read(text)
    except UsageError:
        return
    assert str(url).startswith(url.scheme)


def test_how_lines_are_kept_is_read_and_taken_out_of_the_url() -> None:
    kept, rest = urls.keeping(
        urls.read("https://x/?a=1&buffer=2M&spool=/var/spool/hsup&spool_size=1G")
    )
    assert kept == urls.Keeping(2 << 20, "/var/spool/hsup", 1 << 30)
    assert rest.parameters == (("a", "1"),)


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", ""),
        ("token", "token"),
        ("a=b%2Fc+d&e=%ff&&f=%20&", "a=b%2Fc+d&e=%ff&&f=%20&"),
        ("buffer=2M&t%6Fken=%61&spool=%2Fvar%2Fspool&t", "t%6Fken=%61&t"),
        ("a=1&%62uffer=2M", "a=1"),
        ("a[]=1;buffer=2", "a[]=1;buffer=2"),
    ],
)
def test_what_is_left_of_a_query_is_as_it_was_written(query: str, left: str) -> None:
    _, rest = urls.keeping(urls.read(f"https://x/?{query}"))
    assert rest.query == left


def test_a_part_of_a_query_without_a_value_is_a_name() -> None:
    url = urls.read("https://x/?token&a=&b=1+2%203")
    assert url.parameters == (("token", ""), ("a", ""), ("b", "1 2 3"))
    with pytest.raises(UsageError, match='has no parameter "token"'):
        url.require_nothing_else("a")


def test_bytes_of_a_password_stay_what_they_are() -> None:
    url = urls.read("https://u%ff:p%C3%A9@x/")
    assert (url.user, url.password) == ("u\udcff", "pé")


def test_the_whole_query_of_a_logplex_is_its_own() -> None:
    url = "https://x/logs?buffer=1&spool=here&key=2&buffer"
    found = wanted(url, kind=LOGPLEX)
    assert found.url.query == url.partition("?")[2]
    assert found.keeping == urls.Keeping()


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("buffer=1K", 'parameter "buffer" must be a size of 64K or more'),
        ("buffer=lots", 'parameter "buffer" must be a size of 64K or more'),
        ("buffer=1M&buffer=2M", 'parameter "buffer" is given twice'),
        ("spool=here", 'parameter "spool" must be an absolute path'),
        ("spool_size=1G", 'parameter "spool_size" needs "spool"'),
    ],
)
def test_a_parameter_that_is_wrong_is_named_with_its_drain(query: str, problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        wanted(f"https://user:secret@logs.example/?{query}")
    assert str(raised.value).startswith(f"drain https://logs.example: {problem}")


def test_a_url_has_the_same_token_each_time_and_another_one_another() -> None:
    token = wanted(FULL).token
    assert token == wanted(FULL).token != wanted(FULL + "&x=1").token
    assert token.startswith("d.")
    assert len(token) == len("d.fc6b856b-3332-4546-93de-7d0ee272c3bd")
