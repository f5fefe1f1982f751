"""Requests to engines whose answers differ from Docker's."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import Connection, EngineUnreachable
from hsup_driver_docker.engine.endpoint import find

DOCKER = b"HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\n\r\n"
#: The header of an answer of podman 4.3.1.
PODMAN = (
    b"HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\n"
    b"Server: Libpod/4.3.1 (linux)\r\n\r\n"
)


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Yield an engine with the same answer to each request, and the requests."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()
        asked = []

        def answer(with_what: bytes) -> None:
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:  # the test is over
                    return
                with connected:
                    asked.append(connected.recv(1 << 16).split(b" HTTP")[0].decode())
                    connected.sendall(with_what)

        def start(with_what: bytes) -> tuple[Engine, list[str]]:
            threading.Thread(target=answer, args=[with_what], daemon=True).start()
            return Engine(Connection(find({"DOCKER_HOST": f"unix://{tmp_path}/sock"}))), asked

        yield start
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("header", "condition"), [(DOCKER, "removed"), (PODMAN, "next-exit")], ids=["docker", "podman"]
)
def test_an_end_is_waited_for_where_its_status_is_told(
    answering: Callable[..., Any], header: bytes, condition: str
) -> None:
    engine, asked = answering(header + b'{"Id": "c1"}')
    engine.removal(engine.create("name", {})).socket.close()
    assert asked[1] == f"POST /containers/c1/wait?condition={condition}"


def test_a_query_says_to_others_what_was_asked(answering: Callable[..., Any]) -> None:
    engine, asked = answering(DOCKER + b"[]")
    labels = {"shop & co": "é=%2F+ /?#\n"}
    assert engine.images(labels) == []
    query = parse_qs(urlsplit(asked[0].partition(" ")[2]).query, strict_parsing=True)
    assert [json.loads(one) for one in query["filters"]] == [{"label": ["shop & co=é=%2F+ /?#\n"]}]


def test_a_container_that_podman_knows_no_processes_of_has_none(
    answering: Callable[..., Any],
) -> None:
    engine, _ = answering(PODMAN + b"null")
    assert engine.count("c1") == 0


def test_figures_are_asked_for_once_without_waiting_for_the_next(
    answering: Callable[..., Any],
) -> None:
    engine, asked = answering(DOCKER + b'{"memory_stats": {"limit": 1}}')
    assert engine.stats("c1") == {"memory_stats": {"limit": 1}}
    assert asked == ["GET /containers/c1/stats?stream=0&one-shot=1"]


def test_the_states_of_threads_are_those_of_ps(answering: Callable[..., Any]) -> None:
    listing = {"Titles": ["PID", "S"], "Processes": [["7", "S"], ["7", "R"], ["8", "D"]]}
    engine, asked = answering(DOCKER + json.dumps(listing).encode())
    assert engine.thread_states("c1") == ["S", "R", "D"]
    query = parse_qs(urlsplit(asked[0].partition(" ")[2]).query)
    assert query == {"ps_args": ["-eLo pid,state"]}


@pytest.mark.parametrize(
    "answer",
    [
        PODMAN + b"null",
        DOCKER + b'{"Processes": null}',
        b'HTTP/1.0 500 Internal\r\n\r\n{"message": "ps: unrecognized option: L"}',
    ],
    ids=["podman", "none", "busybox"],
)
def test_where_ps_cannot_list_threads_their_states_are_not_known(
    answering: Callable[..., Any], answer: bytes
) -> None:
    engine, _ = answering(answer)
    assert engine.thread_states("c1") is None


def test_an_answer_that_says_nothing_is_one_that_was_cut(answering: Callable[..., Any]) -> None:
    engine, _ = answering(DOCKER)
    with pytest.raises(EngineUnreachable, match=r"cannot reach .*: the connection was cut"):
        engine.state("c1")
    with pytest.raises(EngineUnreachable, match="the connection was cut"):
        engine.create("name", {})
