from __future__ import annotations

from pathlib import Path

import pytest

from hsup.errors import UsageError
from hsup.log_drain import DrainURL
from hsup_log_drain.file.options import FileOptions, Rotation, read_options


def options(path: Path | str, directory: Path | str = "/", **parameters: str) -> FileOptions:
    url = DrainURL("file", path=str(path), parameters=tuple(parameters.items()))
    return read_options(url, str(directory))


def test_a_path_alone_is_a_file_in_the_format_of_heroku(tmp_path: Path) -> None:
    assert options(tmp_path / "a.log") == FileOptions(path=str(tmp_path / "a.log"))


def test_a_relative_path_is_one_of_the_application(tmp_path: Path) -> None:
    assert options("a%20b.log", tmp_path).path == str(tmp_path / "a b.log")


def test_a_file_is_rotated_by_size_and_age(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    assert options(path, size="10M").rotation == Rotation(10 << 20, None)
    rotation = options(path, age="2d", keep="3", compress="none").rotation
    assert rotation == Rotation(None, 2 * 86400, keep=3, packs=False)


def test_each_dyno_has_a_file_in_a_directory_or_by_a_pattern(tmp_path: Path) -> None:
    assert options(tmp_path, per="dyno").path == str(tmp_path / "{dyno}.log")
    given = options(tmp_path / "%7Bdyno%7D.txt")
    assert given == FileOptions(path=str(tmp_path / "{dyno}.txt"), per_dyno=True)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("size", "10", 'parameter "size" of a file: "10" is invalid'),
        ("size", "10X", 'parameter "size" of a file: "10X" is invalid'),
        ("size", "0M", 'parameter "size" of a file: "0M" is invalid'),
        ("age", "1M", 'parameter "age" of a file: "1M" is invalid'),
        ("keep", "0", 'parameter "keep" of a file: "0" is invalid'),
        ("keep", "3", 'parameter "keep" of a file has no effect without rotation'),
        ("mode", "rw", 'parameter "mode" of a file: "rw" is not a mode'),
        ("format", "screen", 'parameter "format" of a file: "screen" is unknown'),
        ("sizes", "1M", 'a drain of scheme "file" has no parameter "sizes"'),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        options(tmp_path / "a.log", **{name: value})
    assert str(raised.value).partition("; ")[0] == message
    assert raised.value.hint


def test_a_directory_that_is_missing_is_to_be_created(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist") as raised:
        options(tmp_path / "logs" / "a.log")
    assert raised.value.hint == f"create it: mkdir -p {tmp_path}/logs"


def test_a_directory_needs_a_file_for_each_dyno(tmp_path: Path) -> None:
    for path in (tmp_path, f"{tmp_path}/"):
        with pytest.raises(UsageError, match="is a directory") as raised:
            options(path)
        assert "per=dyno" in str(raised.value.hint)


@pytest.mark.parametrize("name", ["{dyno}", "{dyno}.1", "{dyno}{dyno}.log"])
def test_no_file_of_a_dyno_can_be_a_rotated_one_of_another(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="must have letters after"):
        options(tmp_path / name)


def test_a_dyno_is_not_a_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in the name of a directory"):
        options(tmp_path / "{dyno}" / "a.log")


def test_a_device_is_no_log_file() -> None:
    with pytest.raises(UsageError, match="neither a regular file nor a FIFO"):
        options("/dev/null")


def test_a_host_is_a_forgotten_slash() -> None:
    with pytest.raises(UsageError, match='has no host, got "var"') as raised:
        read_options(DrainURL("file", host="var", path="/log/a.log"), "/")
    assert raised.value.hint == "write file:///var/log/a.log with three slashes"


def test_a_link_is_not_rotated(tmp_path: Path) -> None:
    link = tmp_path / "a.log"
    link.symlink_to(tmp_path / "b.log")
    assert options(link).rotation is None
    with pytest.raises(UsageError, match="is a symbolic link, which cannot be rotated"):
        options(link, size="1M")
