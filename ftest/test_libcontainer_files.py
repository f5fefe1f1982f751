"""The files of a dyno that are in memory, and the users that no two dynos share."""

from __future__ import annotations

import os

import pytest

from ftest.program import STACK, Hsup, process

BROKEN_NAME = os.fsdecode(b"caf\xe9")  # Latin-1


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(one="true")


def test_the_range_of_users_can_be_set(hsup: Hsup) -> None:
    only = {"LIBCONTAINER_DYNO_UID_MIN": "12345", "LIBCONTAINER_DYNO_UID_MAX": "12345"}
    assert hsup.call("run", "id -u", env=only).text == "12345\n"


def test_two_dynos_have_two_users(hsup: Hsup) -> None:
    hsup.procfile(one=f"id -u; exec {hsup.sleep}")
    running = hsup.start("one=2")
    lines = running.wait_for(r"app\[one\.\d\]: \d+$", count=2)
    assert len({line.split()[-1] for line in lines}) == 2


def test_no_file_of_the_stack_can_be_changed_and_none_is_the_dynos(hsup: Hsup) -> None:
    """Of the root file system that is; find names the directories where others begin."""
    mine = "find / -xdev -user dyno -o -xdev -writable ! -type l"
    done = hsup.call("run", f"{mine} 2>/dev/null")
    assert sorted(done.text.split()) == ["/app", "/tmp", "/var/tmp"]


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/dev/shm", "/app"])
def test_scratch_space_is_writable_and_limited(hsup: Hsup, place: str) -> None:
    done = hsup.call("run", f"touch {place}/x && df -B1 --output=fstype,size {place} | tail -1")
    assert done.status == 0
    assert int(done.text.split()[1]) <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "/dev/shm"])
def test_scratch_space_can_be_used_by_anybody_and_executes_nothing_with_an_id(
    hsup: Hsup, place: str
) -> None:
    done = hsup.call("run", f"stat -c %a {place}; findmnt -no OPTIONS {place}")
    mode, options = done.text.split()
    assert mode == "1777"
    assert {"nosuid", "nodev"} <= set(options.split(","))


def test_directories_made_for_a_bind_are_the_dynos(hsup: Hsup) -> None:
    (hsup.directory / "data").mkdir()
    done = hsup.call(
        "--bind", f"{hsup.directory}/data:/app/a/b", "run", "touch /app/a/x && echo made"
    )
    assert done.text == "made\n", done


@pytest.mark.parametrize("words", [("run", "cat /mnt/*/file"), ("start", "--oneshot")])
def test_a_directory_whose_name_is_not_utf_8_can_be_bound(
    hsup: Hsup, words: tuple[str, str]
) -> None:
    directory = hsup.directory / BROKEN_NAME
    directory.mkdir()
    (directory / "file").write_text("seen\n")
    hsup.procfile(one="cat /mnt/*/file")
    bind = f"{directory}:/mnt/{BROKEN_NAME}"
    done = hsup.call("--bind", bind, *words)
    assert "seen" in done.text, done
    assert "Traceback" not in done.message


def test_a_bind_that_cannot_be_is_told(hsup: Hsup) -> None:
    for dyno, text in (
        ("/etc/passwd", "at /etc/passwd: the source is a directory, the target is a file"),
        ("/app/..", "/ is reserved in a dyno"),
        ("/proc/mine", "/proc/mine is reserved in a dyno"),
    ):
        done = hsup.call("--bind", f"{hsup.directory}:{dyno}", "run", "true")
        assert done.status != 0
        assert text in done.message


@pytest.mark.parametrize("umask", ["0", "0777"])
def test_directories_of_hsup_are_nobody_elses_to_write_to_whatever_the_umask(
    hsup: Hsup, umask: str
) -> None:
    hsup.slug("slug.tgz", {"file": "seen\n"})
    hsup.release(Slug="slug.tgz", Stack=STACK, Processes=[process("one", "cat file")])
    state = hsup.directory / "state/of"
    hsup.environ["LIBCONTAINER_RUN_DIR"] = f"{state}/run"
    hsup.environ["HSUP_SLUGS_DIR"] = f"{state}/slugs"
    prefix = ["sh", "-c", f'umask {umask}; exec "$@"', "sh"]
    done = hsup.call("start", "--oneshot", prefix=prefix)
    assert "seen" in done.text, done
    made = [state.parent, *(one for one in state.rglob("*") if one.is_dir())]
    assert len(made) > 5
    assert not [(str(one), oct(one.stat().st_mode)) for one in made if one.stat().st_mode & 0o022]
    assert not [str(one) for one in made if one.stat().st_mode & 0o700 != 0o700]
