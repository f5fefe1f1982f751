from __future__ import annotations

import base64
import time
from collections.abc import Callable
from email.utils import formatdate
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from hsup.model import Slug
from hsup.slugs import SlugError, SlugStore, SlugUnreachable, Unpacked
from tests.archives.server import Server, url


def test_redirects_are_followed(store: SlugStore, server: Server) -> None:
    server.redirects["/here"] = "/there?signature=secret"
    store.unpack(Slug(location=url(server, "/here"))).close()
    assert [path for path, _ in server.requests] == ["/here", "/there?signature=secret"]


@pytest.mark.parametrize(
    "target", ["/here", "ftp://127.0.0.1/slug.tgz", "file:///etc/passwd", "http://[oops/"]
)
def test_redirects_to_nowhere_are_told(target: str, store: SlugStore, server: Server) -> None:
    server.redirects["/here"] = target
    with pytest.raises(
        SlugError,
        match=r'/here": (TooManyRedirects|InvalidSchema|ValueError|the URL, .*); check the URL',
    ):
        store.unpack(Slug(location=url(server, "/here")))


OK = b"HTTP/1.1 200 OK\r\n"

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [OK + b"Content-Length: 100\r\n\r\n", b"x"],
        [OK + b"X-Header: "],
        repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        [CHUNKED, b"1\r\nx\r\n1\r\nx\r\n"],
        [CHUNKED, b"0\r\nX-Trailer: x\r\n"],
    ],
    ids=["nothing", "a stalled body", "a header", "interim answers", "chunks", "trailers"],
)
def test_a_server_that_does_not_come_to_an_end_is_given_up(
    pieces: list[bytes] | repeat[bytes], store: SlugStore, server: Server
) -> None:
    server.raw["/slug.tgz"] = pieces
    with pytest.raises(
        SlugUnreachable,
        match=r"received less than 1000 bytes a second for 0\.1 s; .* or lower HSUP_SLUGS_MIN_RATE",
    ):
        store.unpack(Slug(location=url(server)))
    assert len(server.requests) <= 1, "it was tried again"  # none where the server is slow itself


def test_a_length_without_an_end_counts_for_none(
    store: SlugStore, server: Server, read: Callable[[Unpacked, str], bytes]
) -> None:
    length = b"Content-Length: " + b"9" * 5000
    server.raw["/slug.tgz"] = [OK + length + b"\r\nConnection: close\r\n\r\n" + server.content]
    server.stalled.set()
    with store.unpack(Slug(location=url(server))) as unpacked:
        assert read(unpacked, "Procfile")


def test_a_line_without_an_end_is_not_kept(store: SlugStore, server: Server) -> None:
    server.raw["/slug.tgz"] = [CHUNKED + b"5;", *repeat(b"x" * 100_000, 10)]
    with pytest.raises(SlugUnreachable, match="check the network"):
        store.unpack(Slug(location=url(server)))


@pytest.mark.parametrize(
    "told", ["50", lambda: formatdate(time.time() + 50), lambda: str(int(time.time() + 50))]
)
def test_a_busy_server_says_how_long_to_wait(
    told: str | Callable[..., Any],
    store: SlugStore,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("hsup.archives.download.pause", waits.append)
    value = told if isinstance(told, str) else told()
    server.raw["/slug.tgz"] = [
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: " + value.encode() + b"\r\n\r\n"
    ]
    with pytest.raises(SlugUnreachable):
        store.unpack(Slug(location=url(server)))
    assert all(20 <= wait <= 50 for wait in waits)  # the date comes nearer with each try
    assert len(waits) == 4


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login me password netrc\ndefault login me password all\n")
    monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
def test_a_server_of_slugs_gets_nothing_of_netrc(store: SlugStore, server: Server) -> None:
    server.redirects["/here"] = url(server, "/there").replace("127.0.0.1", "localhost")
    store.unpack(Slug(location=url(server, "/here"))).close()
    assert [headers.get("Authorization") for _, headers in server.requests] == [None, None]


@pytest.mark.usefixtures("netrc")
def test_a_url_brings_its_own_password(store: SlugStore, server: Server) -> None:
    server.redirects["/here"] = "/there"
    location = url(server, "/here").replace("://", "://me:own%40@")
    store.unpack(Slug(location=location)).close()
    sent = [headers.get("Authorization") for _, headers in server.requests]
    assert sent == [basic("me:own@")] * 2


@pytest.mark.usefixtures("netrc")
def test_another_server_does_not_get_the_password(store: SlugStore, server: Server) -> None:
    server.redirects["/here"] = url(server, "/there").replace("127.0.0.1", "localhost")
    server.redirects["/there"] = url(server, "/last").replace("://", "://you:other@")
    location = url(server, "/here").replace("://", "://me:own@")
    store.unpack(Slug(location=location)).close()
    sent = [headers.get("Authorization") for _, headers in server.requests]
    assert sent == [basic("me:own"), None, basic("you:other")]


def test_a_proxy_of_the_environment_is_used(
    store: SlugStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", server.origin)
    store.unpack(Slug(location="http://me:own@slugs.invalid/slug.tgz")).close()
    path, headers = server.requests[0]
    assert (path, headers["Authorization"]) == ("http://slugs.invalid/slug.tgz", basic("me:own"))


def test_a_redirect_is_followed_without_reading_what_it_brings(
    store: SlugStore, server: Server
) -> None:
    server.raw["/here"] = [
        b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Encoding: gzip\r\n\r\n",
        b"not gzip",
    ]
    store.unpack(Slug(location=url(server, "/here"))).close()
