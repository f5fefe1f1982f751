"""Log drains of this machine: files, and the journal."""

from __future__ import annotations

import gzip
import re
import socket

from ftest.program import Hsup, eventually

COUNTS = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done"


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\]: line (\d+)$", text, re.MULTILINE)]


def test_a_file_has_what_is_printed(hsup: Hsup) -> None:
    hsup.procfile(one="seq -f 'line %.0f' 20000; printf half", two="echo to stderr >&2")
    done = hsup.call("start", "--oneshot", "--drain", "file:app.log")
    written = (hsup.directory / "app.log").read_text()
    assert numbers(written) == [*range(1, 20_001)]
    assert sorted(written.splitlines()) == sorted(done.text.splitlines())
    assert "app[one.1]: half\n" in written


def test_a_file_that_is_moved_is_created_anew_without_a_signal(hsup: Hsup) -> None:
    hsup.procfile(one=COUNTS)
    path, moved = (hsup.directory / name for name in ("app.log", "moved.log"))
    running = hsup.start("--drain", "file:app.log")
    assert eventually(lambda: path.exists() and "line 5" in path.read_text())
    path.rename(moved)
    assert eventually(lambda: path.exists() and path.read_text().count("line") > 5)
    assert running.stop() == 0
    written = numbers(moved.read_text() + path.read_text())
    assert written == [*range(1, len(written) + 1)]
    assert written == numbers(running.out)


def test_each_dyno_has_files_that_are_rotated_and_compressed(hsup: Hsup) -> None:
    (hsup.directory / "logs").mkdir()
    hsup.procfile(one="seq -f 'line %.0f' 20000", two="echo line 1")
    url = "file:logs?per=dyno&size=64K&keep=99"
    hsup.call("start", "--oneshot", "--drain", url)
    logs = hsup.directory / "logs"
    assert numbers((logs / "two.1.log").read_text()) == [1]
    rotated = sorted(logs.glob("one.1.log.*"), key=lambda path: -int(path.name.split(".")[3]))
    assert len(rotated) > 5
    texts = [
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in (*rotated, logs / "one.1.log")
    ]
    # One grows on if it cannot be rotated just then, as another was given its name.
    assert sum(len(text) > 64 << 10 for text in texts) <= 1
    assert numbers(b"".join(texts).decode()) == [*range(1, 20_001)]


def test_a_directory_that_is_missing_is_told_at_the_start(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    done = hsup.call("start", "--drain", "file:logs/app.log")
    assert done.status == 2
    assert f"create it: mkdir -p {hsup.directory}/logs" in done.message


def test_the_journal_gets_an_entry_for_each_line(hsup: Hsup) -> None:
    hsup.procfile(one="echo 'hello  world'")
    path = str(hsup.directory / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        journal.setblocking(False)
        hsup.call("start", "--oneshot", "--drain", f"journal:?socket={path}")
        entry = b""
        while b"MESSAGE=hello  world\n" not in entry:
            entry = journal.recv(1 << 16)
    assert b"\nDYNO=one.1\n" in entry
    assert b"\nHSUP_SOURCE=app\n" in entry
