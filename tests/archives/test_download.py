from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from hsup.archives.download import MAX_TRIES, _Pace, _TooSlow
from hsup.cancellation import GivenUp, until
from hsup.model import Slug
from hsup.slugs import (
    ChecksumError,
    HostileSlug,
    SlugDenied,
    SlugError,
    SlugStore,
    SlugUnreachable,
    Unpacked,
)
from tests.archives.server import Server, refused_url, url


def test_a_slug_is_downloaded_and_verified(
    store: SlugStore,
    server: Server,
    build: ModuleType,
    read: Callable[[Unpacked, str], bytes],
    left_over: Callable[[], list[str]],
) -> None:
    slug = Slug(location=url(server), checksum=build.checksum(server.content))
    with store.unpack(slug) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./serve\n"
    assert left_over() == []


def test_a_slug_with_a_known_checksum_needs_no_network(
    store: SlugStore, server: Server, build: ModuleType, read: Callable[[Unpacked, str], bytes]
) -> None:
    store.unpack(Slug(location=url(server), checksum=build.checksum(server.content))).close()
    elsewhere = Slug(location=refused_url(), checksum=build.checksum(server.content))
    with store.unpack(elsewhere) as unpacked:
        assert read(unpacked, "Procfile")
    assert len(server.requests) == 1


def test_another_content_than_expected_is_error_r17(
    store: SlugStore, server: Server, left_over: Callable[[], list[str]]
) -> None:
    slug = Slug(location=url(server, "/slug.tgz?signature=secret"), checksum="SHA256:" + "0" * 64)
    with pytest.raises(ChecksumError, match="Checksum does match expected value") as caught:
        store.unpack(slug)
    assert "secret" not in str(caught.value)
    assert left_over() == []


@pytest.mark.parametrize("breaks", [[500_000], [500_000, 0, 0, 700_000, 1]])
def test_a_download_goes_on_where_it_broke_off(
    breaks: list[int], store: SlugStore, large: Server, build: ModuleType
) -> None:
    large.breaks_after = list(breaks)
    store.unpack(Slug(location=url(large), checksum=build.checksum(large.content))).close()
    ranges = [headers.get("Range") for _, headers in large.requests]
    assert ranges[:2] == [None, "bytes=500000-"]
    assert len(ranges) == len(breaks) + 1


def test_a_download_goes_on_in_the_next_start(
    store: SlugStore, make_store: Callable[..., SlugStore], large: Server, build: ModuleType
) -> None:
    large.breaks_after = [500_000] + [0] * 5
    slug = Slug(location=url(large), checksum=build.checksum(large.content))
    with pytest.raises(SlugUnreachable, match="IncompleteRead; check the network and start again"):
        store.unpack(slug)
    large.requests.clear()
    make_store().unpack(slug).close()
    assert [headers.get("Range") for _, headers in large.requests] == ["bytes=500000-"]


def test_a_download_starts_over_when_the_content_has_changed(
    store: SlugStore, large: Server, build: ModuleType, read: Callable[[Unpacked, str], bytes]
) -> None:
    large.breaks_after = [500_000] + [0] * 5
    with pytest.raises(SlugUnreachable):
        store.unpack(Slug(location=url(large)))
    large.content = build.slug()
    with store.unpack(Slug(location=url(large))) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./serve\n"


@pytest.mark.parametrize("lacks", ["has_ranges", "has_etag"])
def test_a_server_that_cannot_resume_is_asked_for_all_of_it(
    lacks: str, store: SlugStore, large: Server, build: ModuleType
) -> None:
    setattr(large, lacks, False)
    large.breaks_after = [500_000]
    store.unpack(Slug(location=url(large), checksum=build.checksum(large.content))).close()


def test_a_download_that_was_complete_already_is_made_again(
    store: SlugStore, server: Server, build: ModuleType
) -> None:
    directory = Path(store.directory) / "work" / f"fetch-{build.sha256(server.content)}"
    directory.mkdir(parents=True)
    (directory / "archive").write_bytes(server.content)
    (directory / "validator").write_text(server.etag)
    store.unpack(Slug(location=url(server), checksum=build.checksum(server.content))).close()
    assert [headers.get("Range") for _, headers in server.requests] == [
        f"bytes={len(server.content)}-",
        None,
    ]


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_is_of_no_use_of_a_download_does_not_lead_to_the_slug_of_before(
    is_whole: bool,
    store: SlugStore,
    server: Server,
    build: ModuleType,
    read: Callable[[Unpacked, str], bytes],
) -> None:
    store.unpack(Slug(location=url(server))).close()
    before = server.etag
    server.content = build.slug(b"web: ./other\n")
    directory = Path(store.directory) / "work" / f"fetch-{build.sha256(url(server).encode())}"
    directory.mkdir()
    size = len(server.content)
    (directory / "archive").write_bytes(server.content if is_whole else server.content[:-1])
    (directory / "validator").write_text(server.etag)
    server.range_shift = 0 if is_whole else -1
    with store.unpack(Slug(location=url(server))) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./other\n"
    asked = [(one.get("Range"), one.get("If-None-Match")) for _, one in server.requests[1:]]
    start = size if is_whole else size - 1
    assert asked == [(f"bytes={start}-", None), (None, before)]


def test_a_part_that_nobody_asked_for_is_no_slug(store: SlugStore, server: Server) -> None:
    server.raw["/slug.tgz"] = [
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 7-7/8\r\nContent-Length: 1\r\n\r\nx"
    ]
    with pytest.raises(SlugUnreachable, match="the server sent only a part of the archive"):
        store.unpack(Slug(location=url(server)))


def test_another_part_than_was_asked_for_is_not_used(
    store: SlugStore, large: Server, build: ModuleType
) -> None:
    large.breaks_after = [500_000]
    large.range_shift = 7
    store.unpack(Slug(location=url(large), checksum=build.checksum(large.content))).close()
    assert [headers.get("Range") for _, headers in large.requests] == [None, "bytes=500000-", None]


def test_a_server_that_breaks_off_and_resumes_wrongly_is_given_up(
    store: SlugStore, large: Server
) -> None:
    large.breaks_after = [500_000] * 20
    large.range_shift = 7
    with pytest.raises(SlugUnreachable, match="check the network"):
        store.unpack(Slug(location=url(large)))


def test_a_server_that_gives_a_byte_at_a_time_is_given_up(store: SlugStore, large: Server) -> None:
    large.breaks_after = [1] * 200
    with pytest.raises(SlugUnreachable, match="check the network"):
        store.unpack(Slug(location=url(large)))
    assert len(large.requests) == MAX_TRIES


def test_each_try_in_vain_is_waited_for_longer(
    store: SlugStore, large: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    large.breaks_after = [0, 0, 0, 500_000]
    waits: list[float] = []
    monkeypatch.setattr("hsup.archives.download.pause", waits.append)
    store.unpack(Slug(location=url(large))).close()
    assert waits == [0.002, 0.004, 0.008, 0.001]


@pytest.mark.parametrize("status", [204, 300, 304, 400, 416, 501])
def test_an_answer_without_a_slug_is_told(status: int, store: SlugStore, server: Server) -> None:
    server.answers = [status] * 9
    with pytest.raises(SlugError, match=f'slug.tgz": the server answered {status} '):
        store.unpack(Slug(location=url(server)))


def test_what_is_compressed_is_not_to_be_compressed_again(store: SlugStore, server: Server) -> None:
    store.unpack(Slug(location=url(server))).close()
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_busy_server_is_asked_again(store: SlugStore, server: Server) -> None:
    server.answers = [503, 429, 500]
    store.unpack(Slug(location=url(server))).close()
    assert len(server.requests) == 4


def test_a_server_that_stays_busy_is_told(store: SlugStore, server: Server) -> None:
    server.answers = [503] * 9
    with pytest.raises(SlugUnreachable, match="the server answered 503 Service Unavailable"):
        store.unpack(Slug(location=url(server)))
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("status", "text"),
    [(401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"), (410, "Gone")],
)
def test_a_url_that_has_expired_is_told_at_once(
    status: int, text: str, store: SlugStore, server: Server, left_over: Callable[[], list[str]]
) -> None:
    server.answers = [status]
    slug = Slug(location=url(server, "/slug.tgz?signature=secret"))
    with pytest.raises(SlugDenied, match=f'slug.tgz": the server answered {status} {text}'):
        store.unpack(slug)
    assert len(server.requests) == 1
    assert left_over() == []


def test_a_url_without_checksum_is_asked_for_a_change(
    store: SlugStore, server: Server, build: ModuleType, read: Callable[[Unpacked, str], bytes]
) -> None:
    slug = Slug(location=url(server))
    store.unpack(slug).close()
    store.unpack(slug).close()
    assert server.requests[1][1]["If-None-Match"] == server.etag
    server.content = build.slug(b"web: ./other\n")
    with store.unpack(slug) as unpacked:
        assert read(unpacked, "Procfile") == b"web: ./other\n"


@pytest.mark.parametrize("trouble", ["busy", "broken off"])
def test_a_url_that_cannot_be_reached_leads_to_what_it_did_before(
    trouble: str,
    store: SlugStore,
    server: Server,
    read: Callable[[Unpacked, str], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    slug = Slug(location=url(server, "/slug.tgz?signature=secret"))
    store.unpack(slug).close()
    server.requests.clear()
    server.content += b"changed"
    if trouble == "busy":
        server.answers = [503] * 9
    else:
        server.breaks_after = [0] * 9
    with store.unpack(slug) as unpacked:
        assert read(unpacked, "Procfile")
    assert len(server.requests) == 1
    assert "cannot download slug" in caplog.text
    assert "secret" not in caplog.text


def test_a_start_with_the_network_down_uses_what_is_there(
    store: SlugStore, server: Server, read: Callable[[Unpacked, str], bytes]
) -> None:
    slug = Slug(location=url(server))
    store.unpack(slug).close()
    server.shutdown()
    server.socket.close()
    with store.unpack(slug) as unpacked:
        assert read(unpacked, "Procfile")


def test_a_server_that_is_not_there_is_told_without_what_is_secret(
    store: SlugStore, caplog: pytest.LogCaptureFixture
) -> None:
    location = refused_url().replace("://", "://user:secret@")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SlugUnreachable) as caught:
        store.unpack(Slug(location=location))
    shown = str(caught.value)
    assert "Connection refused; check the network" in shown
    assert "http://127.0.0.1:" in shown
    assert "secret" not in shown
    assert "secret" not in caplog.text
    assert caught.value.__suppress_context__


def test_a_download_of_more_than_the_limit_is_refused(
    make_store: Callable[..., SlugStore], large: Server, left_over: Callable[[], list[str]]
) -> None:
    with pytest.raises(HostileSlug, match=r"larger than 1048576 bytes; raise HSUP_SLUGS_MAX_SIZE"):
        make_store(HSUP_SLUGS_MAX_SIZE="1M").unpack(Slug(location=url(large)))
    assert left_over() == []


def test_a_hostile_download_leaves_nothing(
    store: SlugStore, server: Server, build: ModuleType, left_over: Callable[[], list[str]]
) -> None:
    server.content = build.tar(build.member("app/a", b"a"), build.member("app/../b", b"b"))
    with pytest.raises(HostileSlug, match=r'/slug.tgz": its member app/\.\./b has'):
        store.unpack(Slug(location=url(server)))
    assert left_over() == []
    assert os.listdir(Path(store.directory) / "unpacked") == []


@pytest.mark.parametrize(("rate", "is_enough"), [(0, True), (1, False)])
def test_a_rate_of_0_takes_that_nothing_comes(
    rate: int, is_enough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup.archives.download.MIN_RATE_SECONDS", 0.0)
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr("hsup.archives.download.time", clock)
    pace = _Pace(rate)
    with nullcontext() if is_enough else pytest.raises(_TooSlow):
        pace(0)


@pytest.mark.usefixtures("short")
def test_what_came_slowly_is_resumed(
    make_store: Callable[..., SlugStore],
    large: Server,
    build: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large.stalls_after = 500_000
    slug = Slug(location=url(large), checksum=build.checksum(large.content))
    store = make_store(HSUP_SLUGS_MIN_RATE="99999999")
    ticks = count()

    def clock() -> float:
        return float(next(ticks)) if received(store, large, build) >= 500_000 else 0.0

    with monkeypatch.context() as patch:
        patch.setattr("hsup.archives.download.time", SimpleNamespace(monotonic=clock))
        with pytest.raises(SlugUnreachable, match="less than 99999999 bytes a second"):
            store.unpack(slug)
    large.stalls_after = None
    make_store().unpack(slug).close()
    ranges = [headers.get("Range") for _, headers in large.requests]
    assert ranges == [None, "bytes=500000-"]


def received(store: SlugStore, server: Server, build: ModuleType) -> int:
    """Return how many bytes of the server's archive were received."""
    archive = Path(store.directory, "work", f"fetch-{build.sha256(server.content)}", "archive")
    return archive.stat().st_size if archive.exists() else 0


def test_a_download_that_is_not_wanted_any_more_is_resumed_later(
    store: SlugStore, large: Server, build: ModuleType
) -> None:
    large.stalls_after = 500_000
    slug = Slug(location=url(large), checksum=build.checksum(large.content))
    given_up = threading.Event()

    def give_up() -> None:
        while received(store, large, build) < 500_000:
            time.sleep(0.01)
        given_up.set()

    threading.Thread(target=give_up).start()
    with until(given_up), pytest.raises(GivenUp):
        store.unpack(slug)
    large.stalls_after = None
    store.unpack(slug).close()
    ranges = [headers.get("Range") for _, headers in large.requests]
    assert ranges == [None, "bytes=500000-"]


def test_a_pause_between_tries_ends_when_nobody_wants_the_slug(
    make_store: Callable[..., SlugStore], server: Server
) -> None:
    server.answers = [503] * 9
    store = make_store()
    store.backoff_seconds = 3600
    given_up = threading.Event()
    threading.Timer(0.1, given_up.set).start()
    with until(given_up), pytest.raises(GivenUp):
        store.unpack(Slug(location=url(server)))


@pytest.mark.parametrize(
    "location",
    [
        "file://me:secret@host/slug.tgz?secret",
        "http://me:secret@127.0.0.1:1/slug.tgz?secret#secret",
        "ftp://me:secret@host/slug.tgz",
        "http://me:secret@host:port/slug.tgz",
        "http://me:secret@/slug.tgz",
    ],
)
def test_no_error_shows_what_is_secret(
    location: str, store: SlugStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SlugError) as caught:
        store.unpack(Slug(location=location))
    assert "secret" not in str(caught.value) + caplog.text
