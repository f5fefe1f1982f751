"""A number belongs to one hsup at a time, until the last of its processes has ended."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.errors import DriverError
from hsup_driver_libcontainer.leases import Leases, without

from .forking import forked

RANGE = range(3000, 3010)


def leases_in(directory: Path, numbers: range = RANGE) -> Leases:
    return Leases(f"{directory}/uids", numbers, resource="uid", remedy="have fewer dynos")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


class Holder:
    """Another hsup, which has taken numbers and sleeps."""

    def __init__(self, directory: Path, count: int, numbers: range = RANGE) -> None:
        reading, writing = os.pipe()

        def take() -> None:
            leases = leases_in(directory, numbers)
            taken = [leases.take() for _ in range(count)]
            os.write(writing, " ".join(map(str, taken)).encode())
            os.close(writing)
            signal.pause()

        self.pid = forked(take)
        os.close(writing)
        with open(reading, encoding="ascii") as file:
            self.numbers = [int(one) for one in file.read().split()]


def test_a_number_is_taken_once(tmp_path: Path) -> None:
    one, other = leases_in(tmp_path), leases_in(tmp_path)
    assert [one.take(), other.take(), one.take()] == [3000, 3001, 3002]


def test_what_was_given_back_rests_until_the_others_had_their_turn(tmp_path: Path) -> None:
    leases = leases_in(tmp_path, range(3000, 3003))
    leases.give_back(leases.take())
    assert [leases.take() for _ in range(3)] == [3001, 3002, 3000]


def test_a_new_hsup_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    leases_in(tmp_path).take()
    assert leases_in(tmp_path).take() == 3001


def test_another_hsup_gets_what_was_given_back(tmp_path: Path) -> None:
    one, other = (leases_in(tmp_path, range(7, 8)) for _ in "12")
    one.give_back(one.take())
    assert other.take() == 7


def test_giving_back_what_is_not_taken_does_nothing(tmp_path: Path) -> None:
    one, other = (leases_in(tmp_path, range(7, 8)) for _ in "12")
    assert one.take() == 7
    other.give_back(7)
    with pytest.raises(DriverError):
        other.take()


def test_none_left_is_told_with_the_remedy(tmp_path: Path) -> None:
    leases = leases_in(tmp_path, range(7, 8))
    leases.take()
    with pytest.raises(DriverError, match=r"^no uid is free; have fewer dynos$"):
        leases.take()


def test_busy_numbers_are_never_taken(tmp_path: Path) -> None:
    leases = leases_in(tmp_path)
    busy = [range(2000, 3001), range(3002, 3009), range(4000, 5000)]
    assert [leases.take(busy), leases.take(busy)] == [3001, 3009]
    with pytest.raises(DriverError):
        leases.take(busy)


def test_a_cursor_beyond_the_range_is_no_obstacle(tmp_path: Path) -> None:
    leases_in(tmp_path, range(9000, 9001)).take()
    assert leases_in(tmp_path).take() == 3000


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 20])
def test_a_damaged_file_is_no_obstacle(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "uids").write_bytes(content)
    assert leases_in(tmp_path).take() == 3000


def test_eight_hsups_that_take_fifty_each_all_differ(tmp_path: Path) -> None:
    holders = [Holder(tmp_path, 50, range(3000, 3401)) for _ in range(8)]
    try:
        taken = [number for holder in holders for number in holder.numbers]
        assert len(set(taken)) == len(taken) == 400
    finally:
        for holder in holders:
            kill(holder.pid)


def test_threads_of_one_hsup_never_get_the_same(tmp_path: Path) -> None:
    leases = leases_in(tmp_path, range(3000, 3400))
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(leases.take() for _ in range(100)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(3000, 3400))


def test_kill_9_frees_what_an_hsup_had(tmp_path: Path) -> None:
    holder = Holder(tmp_path, 10)
    leases = leases_in(tmp_path)
    with pytest.raises(DriverError):
        leases.take()
    kill(holder.pid)
    assert sorted(leases.take() for _ in RANGE) == list(RANGE)


def test_a_forked_process_keeps_the_leases_of_an_hsup_that_is_no_more(tmp_path: Path) -> None:
    numbers = range(7, 8)
    leases = leases_in(tmp_path, numbers)
    leases.take()
    dyno = forked(signal.pause)
    leases.close()
    other = leases_in(tmp_path, numbers)
    with pytest.raises(DriverError):
        other.take()
    kill(dyno)
    assert other.take() == 7


def test_each_lease_is_found_at_the_first_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    lock = fcntl.fcntl

    def counted(*arguments: Any) -> Any:
        tried.append(arguments)
        return lock(*arguments)

    numbers = range(3000, 11001)
    leases, others = leases_in(tmp_path, numbers), leases_in(tmp_path, numbers)
    monkeypatch.setattr(fcntl, "fcntl", counted)
    for _ in range(200):
        leases.take()
        others.take()
    assert len(tried) == 400


def test_the_directory_is_nobody_elses(tmp_path: Path) -> None:
    leases_in(tmp_path / "run" / "hsup")
    assert stat.S_IMODE((tmp_path / "run" / "hsup").stat().st_mode) == 0o700


def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "my run"
    run.mkdir()
    run.chmod(0o777)
    with pytest.raises(DriverError, match="is writable by other users; ") as caught:
        leases_in(run)
    assert caught.value.hint == f"run chown root '{run}' and chmod 700 '{run}'"


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "uids").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="uids"):
        leases_in(tmp_path)
    assert not (tmp_path / "precious").exists()


small = st.integers(0, 40)
ranges = st.builds(lambda start, size: range(start, start + size), small, small)


@given(ranges, st.lists(ranges))
def test_what_is_left_without_busy_ranges_is_in_order_and_complete(
    numbers: range, busy: list[range]
) -> None:
    left = [number for part in without(numbers, busy) for number in part]
    covered = {number for one in busy for number in one}
    assert left == [number for number in numbers if number not in covered]


def test_what_comes_after_the_close_locks_nothing(tmp_path: Path) -> None:
    """Its descriptor may belong to another file by then."""
    leases = leases_in(tmp_path)
    number = leases.take()
    leases.close()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    assert other == leases.descriptor
    leases.give_back(number)
    with pytest.raises(DriverError, match="closed"):
        leases.take()
    assert not (tmp_path / "other").read_bytes()
    os.close(other)
