from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsup.api import LogEvent
from hsup.errors import DrainError, DrainUnreachable, UsageError
from hsup.log_drain import DrainURL, LogDrain
from hsup.testing import make_batch
from hsup_log_drain.hooks import hsup_register_log_drains
from hsup_log_drain.journal import drain as drain_module
from hsup_log_drain.journal.entries import entries

from .blocks import destination, in_loop, make_block, with_turns
from .file_writing import numbered, open_files
from .journald import JOURNALD, Journal, Receiver, running_journal

#: Of 2026-01-02T15:04:05.123456789 UTC.
MOMENT = 1_767_366_245_123_456_789

needs_journald = pytest.mark.skipif(
    os.geteuid() != 0 or not (os.path.exists(JOURNALD) and shutil.which("nsenter")),
    reason="only root can run systemd-journald, which has to be installed",
)


def make_drain(path: str) -> LogDrain:
    url = DrainURL("journal", parameters=(("socket", path),))
    return hsup_register_log_drains()["journal"](destination(url))


@pytest.fixture(scope="module")
def journal() -> Iterator[Journal]:
    with running_journal() as journal:
        yield journal


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the path of a socket, which has to be a short one."""
    monkeypatch.chdir(tmp_path)
    return f"/proc/{os.getpid()}/cwd/socket"


def of(journal: Journal, dyno: str) -> list[dict[str, object]]:
    return journal.entries(f"DYNO={dyno}")


@needs_journald
@in_loop
async def test_the_journal_finds_lines_by_dyno(journal: Journal) -> None:
    drain = make_drain(journal.socket)
    batch = make_batch(b"a\n\nb=c\n", dyno="web.1", time=MOMENT)._replace(app="shop", release=7)
    await drain.deliver(make_block(batch, make_batch(b"x\n", dyno="web.2")))
    await drain.close()
    found = of(journal, "web.1")
    assert [entry["MESSAGE"] for entry in found] == ["a", "", "b=c"]
    assert {name: text for name, text in found[0].items() if not name.startswith("_")} == {
        "MESSAGE": "a",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "shop/web.1",
        "SYSLOG_TIMESTAMP": "2026-01-02T15:04:05.123456+00:00",
        "DYNO": "web.1",
        "HSUP_APP": "shop",
        "HSUP_RELEASE": "v7",
        "HSUP_SOURCE": "app",
        "HSUP_STREAM": "stdout",
    }
    assert [entry["SYSLOG_IDENTIFIER"] for entry in of(journal, "web.2")] == ["web.2"]


@needs_journald
@in_loop
async def test_the_journal_has_all_bytes(journal: Journal) -> None:
    drain = make_drain(journal.socket)
    binary = bytes(one for one in range(256) if one != ord("\n"))
    await drain.deliver(make_block(make_batch(binary + b"\nplain\n", dyno="binary.1")))
    await drain.close()
    first, second = (entry["MESSAGE"] for entry in of(journal, "binary.1"))
    assert isinstance(first, list)
    assert (bytes(first), second) == (binary, "plain")


@needs_journald
@in_loop
async def test_a_line_too_large_for_a_datagram_is_whole(journal: Journal) -> None:
    drain = make_drain(journal.socket)
    lines = [b"x" * size for size in (100_000, 300_000, 1 << 20, 5 << 20)]
    await drain.deliver(make_block(make_batch(b"\n".join(lines), dyno="large.1")))
    await drain.close()
    assert [entry["MESSAGE"] for entry in of(journal, "large.1")] == [
        line.decode() for line in lines
    ]


@needs_journald
@in_loop
async def test_many_lines_are_in_order(journal: Journal) -> None:
    drain = make_drain(journal.socket)
    for first in range(0, 5000, 500):
        lines = numbered(first, first + 499)
        await drain.deliver(make_block(make_batch(lines, dyno="many.1")))
    await drain.close()
    found = of(journal, "many.1")
    assert [entry["MESSAGE"] for entry in found] == [f"line {one}" for one in range(5000)]


@needs_journald
@in_loop
async def test_what_hsup_says_has_a_priority_and_its_event(journal: Journal) -> None:
    drain = make_drain(journal.socket)
    events = [
        LogEvent("state_changed", state="up"),
        LogEvent("exited", status=143),
        LogEvent("warning"),
        LogEvent("error", code="R15"),
        LogEvent("error", code="L10"),
        LogEvent("state_changed", state="crashed"),
        LogEvent("release_rejected"),
    ]
    batches = [make_batch(b"a\n", dyno="own.1", source="hsup", event=event) for event in events]
    await drain.deliver(make_block(*batches, make_batch(b"b\n", dyno="own.1", stream="stderr")))
    await drain.close()
    names = ("PRIORITY", "HSUP_EVENT", "HSUP_STATE", "HSUP_STATUS", "HSUP_CODE", "HSUP_STREAM")
    assert [tuple(entry.get(name) for name in names) for entry in of(journal, "own.1")] == [
        ("6", "state_changed", "up", None, None, "stdout"),
        ("6", "exited", None, "143", None, "stdout"),
        ("4", "warning", None, None, None, "stdout"),
        ("3", "error", None, None, "R15", "stdout"),
        ("4", "error", None, None, "L10", "stdout"),
        ("3", "state_changed", "crashed", None, None, "stdout"),
        ("3", "release_rejected", None, None, None, "stdout"),
        ("6", None, None, None, None, "stderr"),
    ]


@pytest.mark.parametrize(
    ("event", "priority"),
    [
        (None, b"6"),
        (LogEvent("notice"), b"6"),
        (LogEvent("warning"), b"4"),
        (LogEvent("error", code="L10"), b"4"),
        (LogEvent("error", code="L14"), b"3"),
        (LogEvent("state_changed", state="crashed"), b"3"),
        (LogEvent("release_rejected"), b"3"),
        (LogEvent("source_failed"), b"3"),
    ],
)
def test_the_priority_of_a_line_is_that_of_its_event(
    event: LogEvent | None, priority: bytes
) -> None:
    [entry] = entries(make_batch(b"a\n", source="heroku", event=event))
    assert b"PRIORITY=" + priority + b"\n" in entry


@in_loop
async def test_odd_names_and_parts_of_lines_are_encoded_as_the_protocol_says(path: str) -> None:
    receiver = Receiver(path)
    drain = make_drain(path)
    odd = make_batch(b"a\0b", dyno="a\nMESSAGE=b", is_partial=True)
    await drain.deliver(make_block(odd))
    (entry,) = receiver.entries()
    assert (entry["MESSAGE"], entry["DYNO"]) == ([b"a\0b"], [b"a\nMESSAGE=b"])
    assert entry["HSUP_PARTIAL"] == [b"1"]
    await drain.close()
    receiver.close()


@pytest.mark.parametrize("middle", [b"two", b"t\0o"])
@in_loop
async def test_only_the_line_that_goes_on_is_said_to_be_partial(path: str, middle: bytes) -> None:
    receiver = Receiver(path)
    drain = make_drain(path)
    begun = make_batch(b"one\n" + middle + b"\nthr", is_partial=True)
    await drain.deliver(make_block(begun, make_batch(b"ee\n")))
    assert [(one["MESSAGE"][0], one.get("HSUP_PARTIAL")) for one in receiver.entries()] == [
        (b"one", None),
        (middle, None),
        (b"thr", [b"1"]),
        (b"ee", None),
    ]
    await drain.close()
    receiver.close()


@in_loop
async def test_a_journal_that_is_missing_or_gone_takes_lines_when_it_is_back(path: str) -> None:
    drain = make_drain(path)
    block = make_block(make_batch(b"a\n"))
    with pytest.raises(DrainUnreachable, match="No such file or directory"):
        await drain.deliver(block)
    receiver = Receiver(path)
    await drain.deliver(block)
    assert [entry["MESSAGE"] for entry in receiver.entries()] == [[b"a"]]
    receiver.close()
    block = make_block(make_batch(b"b\n"))
    with pytest.raises(DrainUnreachable, match="Connection refused"):
        await drain.deliver(block)
    for _ in range(2):
        os.unlink(path)
        receiver = Receiver(path)
        await drain.deliver(make_block(make_batch(b"c\n")))  # at once
        assert [entry["MESSAGE"] for entry in receiver.entries()] == [[b"c"]]
        receiver.close()
    await drain.close()


@in_loop
async def test_a_journal_that_reads_nothing_is_not_waited_for(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "_STUCK_SECONDS", 0.01)
    receiver = Receiver(path)
    drain = make_drain(path)
    batch = make_batch(numbered(0, 4999))
    with pytest.raises(DrainError, match="it takes nothing") as raised:
        await drain.deliver(make_block(batch))
    with pytest.raises(DrainUnreachable, match="it takes nothing"):
        await drain.deliver(make_block(make_batch(b"other\n")))
    got = [entry["MESSAGE"] for entry in receiver.entries()]
    assert 0 < raised.value.taken_lines == len(got)
    await drain.close()
    receiver.close()


@in_loop
async def test_waiting_for_a_slow_journal_blocks_nothing_and_can_be_cancelled(path: str) -> None:
    receiver = Receiver(path)
    drain = make_drain(path)
    block = make_block(make_batch(numbered(0, 4999)))
    got: list[bytes] = []
    while len(got) < 5000:
        delivering = asyncio.create_task(drain.deliver(block))
        for _ in range(3):
            await asyncio.sleep(0)
        got += [entry["MESSAGE"][0] for entry in receiver.entries()]
        for _ in range(3):
            await asyncio.sleep(0)
        delivering.cancel()
        await asyncio.wait({delivering})
        got += [entry["MESSAGE"][0] for entry in receiver.entries()]
    assert got == numbered(0, 4999).splitlines()
    await drain.deliver(make_block(make_batch(b"after\n")))
    assert [entry["MESSAGE"] for entry in receiver.entries()] == [[b"after"]]
    await drain.close()
    receiver.close()


@in_loop
async def test_other_tasks_run_while_many_lines_are_sent(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "_ENTRIES_AT_ONCE", 2)  # fewer than the socket takes
    receiver = Receiver(path)
    drain = make_drain(path)
    _, turns = await with_turns(drain.deliver(make_block(*[make_batch(b"a\n")] * 9)))
    assert turns == 4
    assert len(list(receiver.entries())) == 9
    await drain.close()
    receiver.close()


@in_loop
async def test_no_descriptor_is_inherited(path: str) -> None:
    receiver = Receiver(path)
    before = {number for number, _ in open_files()}
    drain = make_drain(path)
    await drain.deliver(make_block(make_batch(b"a\n")))
    sockets = [one for one, target in open_files() if one not in before and "socket" in target]
    assert sockets
    assert all(fcntl.fcntl(one, fcntl.F_GETFD) & fcntl.FD_CLOEXEC for one in sockets)
    await drain.close()
    await drain.close()
    receiver.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (DrainURL("journal", host="x"), "has neither a host nor a path"),
        (DrainURL("journal", path="/x"), "has neither a host nor a path"),
        (DrainURL("journal", parameters=(("socket", "x"),)), "must be an absolute path"),
        (DrainURL("journal", parameters=(("socket", "/" * 108),)), "must be an absolute path"),
        (DrainURL("journal", parameters=(("format", "json"),)), 'has no parameter "format"'),
    ],
)
def test_a_wrong_url_is_refused(url: DrainURL, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        hsup_register_log_drains()["journal"](destination(url))
    assert raised.value.hint
