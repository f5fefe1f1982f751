from __future__ import annotations

import pytest

from hsup.errors import UsageError
from hsup.log_drain import DrainURL
from hsup_log_drain.otlp.endpoint import Endpoint, endpoint


def receiver(*parameters: tuple[str, str], path: str = "", port: int | None = None) -> Endpoint:
    return endpoint(DrainURL("otlp+http", "otel", port, path, parameters=parameters))


def test_port_and_path_are_those_of_otlp_unless_the_url_has_some() -> None:
    assert receiver().url.port == 4318
    assert receiver().url.path == "/v1/logs"
    assert receiver(path="/").url.path == "/v1/logs"
    assert receiver(path="/otlp/v1/logs", port=80).url.path == "/otlp/v1/logs"
    assert receiver(port=80).url.port == 80


def test_the_scheme_says_whether_there_is_tls() -> None:
    assert receiver().tls is None
    assert receiver().url.scheme == "http"
    secure = endpoint(DrainURL("otlp+https", "otel"))
    assert secure.tls is not None
    assert secure.url.scheme == "https"


def test_parameters_are_headers_and_the_compression() -> None:
    found = receiver(("header.X-Key", "a: b=c"), ("gzip", "1"), ("header.tenant", "t"))
    assert found.headers == {"x-key": "a: b=c", "tenant": "t"}
    assert found.is_gzip
    assert found.url.parameters == ()
    assert not receiver(("gzip", "0")).is_gzip


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ([("ca", "secret")], 'has no parameter "ca"; use gzip, header.NAME'),
        ([("gzip", "secret")], 'parameter "gzip" must be 0 or 1'),
        ([("header.", "secret")], 'parameter "header." does not end with the name of a header'),
        ([("header.a b", "secret")], "does not end with the name of a header"),
        ([("header.a", "secret\r\nb: c")], 'the value of parameter "header.a" is not that of a'),
        ([("header.a", "")], "is not that of a header; use ASCII"),
        ([("header.a", " secret")], "without blanks around"),
        ([("header.a", "sécret")], "use ASCII"),
        ([("header.A", "secret"), ("header.a", "secret")], 'header "a" is given twice'),
        ([("header.a", "secret"), ("header.a", "secret")], 'header "a" is given twice'),
        ([("header.Content-Type", "secret")], 'header "Content-Type" of a drain cannot be set'),
        ([("header.transfer-encoding", "secret")], "cannot be set; leave it out"),
    ],
)
def test_what_no_request_can_have_is_refused_without_its_value(
    parameters: list[tuple[str, str]], text: str
) -> None:
    with pytest.raises(UsageError) as caught:
        receiver(*parameters)
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_user_and_a_header_for_it_exclude_each_other() -> None:
    url = DrainURL(
        "otlp+http", "otel", user="u", password="p", parameters=(("header.Authorization", "x"),)
    )
    with pytest.raises(UsageError, match="both a user and a header Authorization"):
        endpoint(url)


def test_an_endpoint_does_not_show_its_headers() -> None:
    assert repr(receiver(("header.a", "secret"))) == "<Endpoint http://otel:4318>"
