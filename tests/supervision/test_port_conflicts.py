from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from hsup.model import DynoName
from hsup.supervision.port_conflicts import describe, free_base, holder, probe, warning

WEB, WORKER = DynoName("web", 1), DynoName("worker", 1)


def granted(_ports: Iterable[int]) -> bool:
    return True


def taken(*ports: int, number: int = errno.EADDRINUSE) -> Callable[[int], int | None]:
    return lambda port: number if port in ports else None


@pytest.fixture(params=["127.0.0.1", "", "::1", "::"], ids=str)
def listening(request: pytest.FixtureRequest) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as server:
        yield server.getsockname()[1]


def test_a_port_on_which_a_program_listens_is_taken(listening: int) -> None:
    by = holder(listening)
    assert by is not None
    assert by.pid == os.getpid()
    assert str(by) == f"{Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"


def test_a_port_is_probed_as_a_server_would_open_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert probe(port) == errno.EADDRINUSE
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the server's side waits, as after any connection that it closed
        client.close()
    assert probe(port) is None
    assert holder(port) is None


def test_ports_that_are_free_are_no_reason_to_warn() -> None:
    assert warning({WEB: 5000, WORKER: 5100}, taken()) is None
    assert warning({}, taken(5000)) is None


def test_a_warning_names_the_port_and_who_has_it(listening: int) -> None:
    text = warning({WEB: listening}, taken(listening))
    assert text is not None
    assert text.startswith(f"port {listening} of web.1 is taken by ")
    assert text.endswith(f"(pid {os.getpid()})")


@pytest.mark.parametrize(
    ("count", "more"),
    [
        (2, "web.2"),
        (4, "web.2, web.3 and web.4"),
        (5, "web.2, web.3 and 2 more"),
        (50, "web.2, web.3 and 47 more"),
    ],
)
def test_one_warning_is_about_all_dynos(count: int, more: str) -> None:
    ports = {DynoName("web", number): number for number in range(1, count + 1)}
    text = warning(ports, taken(*ports.values()))
    assert text is not None
    assert text.endswith(f"port 1 of web.1 is taken by another program, and likewise for {more}")


def test_a_port_that_needs_more_rights_is_said_so() -> None:
    text = warning({WEB: 80}, taken(80, number=errno.EACCES))
    assert text == "web.1 may not listen on port 80: Permission denied"


def test_a_dyno_is_not_named_in_its_own_lines(listening: int) -> None:
    assert describe(listening, errno.EADDRINUSE).startswith(f"port {listening} is taken by ")
    assert describe(80, errno.EACCES) == "the dyno may not listen on port 80: Permission denied"


@pytest.mark.parametrize(
    ("busy", "after", "base"),
    [
        ((), False, 5000),
        ((), True, 5500),
        ((5000,), False, 5500),
        ((5100,), False, 5500),
        ((5000, 5600), False, 6500),  # browsers refuse 6000
        (range(1, 65536), False, None),
        (range(1, 65500), False, 65500),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_base_is_free_if_all_its_ports_are(
    busy: tuple[int, ...], after: bool, base: int | None
) -> None:
    ports = {WEB: 5000, WORKER: 5100}
    if base == 65500:
        ports = {WEB: 5000}
    assert free_base(ports, 5000, taken(*busy), granted, after=after) == base


def test_a_base_must_be_granted_once_its_ports_are_free() -> None:
    asked: list[list[int]] = []

    def grant(ports: Iterable[int]) -> bool:
        asked.append([*ports])
        return len(asked) > 1

    assert free_base({WEB: 5000, WORKER: 5100}, 5000, taken(5500), grant) == 6500
    assert asked == [[5000, 5100], [6500, 6600]]


def test_a_base_so_high_that_ports_run_out_is_not_free() -> None:
    assert free_base({WEB: 65500, WORKER: 65600}, 65500, taken(), granted) is None
