from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hsup.slugs.credentials import in_thread_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

#: Of no user and no group of any machine.
BOB, FRIENDS = 3_000_001, 3_000_007


def credentials() -> dict[str, str]:
    with open("/proc/thread-self/status", encoding="ascii") as file:
        return dict(line.split(":\t") for line in file)


def test_work_is_done_with_the_rights_of_another_user() -> None:
    seen = in_thread_of(BOB, [BOB, FRIENDS], credentials)
    assert (seen["Uid"].split()[3], seen["Gid"].split()[3]) == (str(BOB), str(BOB))
    assert seen["Groups"].split() == [str(BOB), str(FRIENDS)]
    assert int(seen["CapEff"], 16) == 0


def test_what_is_roots_cannot_be_read_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(PermissionError):
        in_thread_of(BOB, [BOB], (tmp_path / "secret").read_text)
    assert (tmp_path / "secret").read_text() == "secret"


def test_other_threads_keep_the_rights_that_they_have() -> None:
    before = credentials()
    seen = []

    def look_from_another() -> None:
        other = threading.Thread(target=lambda: seen.append(credentials()))
        begun.wait()
        other.start()
        other.join()

    begun = threading.Event()
    looking = threading.Thread(target=look_from_another)
    looking.start()
    in_thread_of(BOB, [BOB], lambda: (begun.set(), looking.join()))
    for name in ("Uid", "Gid", "Groups", "CapEff"):
        assert seen[0][name] == credentials()[name] == before[name]
