from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hsup_driver_docker.containers.position import Position, PositionFile

DIE = """
import os, sys
from hsup_driver_docker.containers.position import Position, PositionFile
PositionFile(sys.argv[1]).write(Position(5, 6, 7, 8))
os.kill(os.getpid(), 9)
"""


def test_a_new_one_is_the_beginning(tmp_path: Path) -> None:
    file = PositionFile(str(tmp_path / "one"))
    assert file.read() == Position()
    assert file.read().since_text == "0.000000000"
    file.remove()


def test_it_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "one")
    subprocess.run([sys.executable, "-c", DIE, path], check=False)
    file = PositionFile(path)
    assert file.read() == Position(5, 6, 7, 8)
    file.remove()
    assert not os.path.exists(path)


def test_one_that_is_left_can_be_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "one")
    first = PositionFile(path)
    first.write(Position(1, 2, 3, 4))
    first.leave()
    again = PositionFile(path)
    assert again.read() == Position(1, 2, 3, 4)
    again.remove()


def test_few_bytes_are_counted() -> None:
    position = Position(10**18 + 5, 3, 4, known_at=2 * 10**18)
    assert position.start() == position
    assert position.start().since_text == "1000000000.000000005"


def test_where_too_many_would_be_counted_the_last_second_is_repeated() -> None:
    position = Position(1, 3 << 20, 2 << 20, known_at=5 * 10**9)
    assert position.start() == Position(4 * 10**9)
