from __future__ import annotations

from pathlib import Path

from hsup_driver_libcontainer.child import users


def test_the_dyno_is_added_to_the_users_of_the_stack(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(b"root:x:0:0:r\xff:/root:/bin/bash")
    (tmp_path / "etc/group").write_text("root:x:0:\ndyno:x:1000:\n")
    files = users.files(str(tmp_path), 3007)
    passwd = files["/etc/passwd"].encode(errors="surrogateescape")
    assert passwd == (b"root:x:0:0:r\xff:/root:/bin/bash\ndyno:x:3007:3007:dyno:/app:/bin/bash\n")
    assert files["/etc/group"] == "root:x:0:\ndyno:x:3007:\n"


def test_a_stack_without_users_gets_one(tmp_path: Path) -> None:
    assert users.files(str(tmp_path), 3007)["/etc/group"] == "dyno:x:3007:\n"


def test_a_link_out_of_the_stack_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/hostname")
    assert users.files(str(tmp_path), 1)["/etc/passwd"].startswith("dyno:")
