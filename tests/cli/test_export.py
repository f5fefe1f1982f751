from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cli.calling import call, failed


def test_export_prints_the_files(directory: Path) -> None:
    (directory / ".env").write_text("SECRET=s\n")
    ended = call("export", "systemd", "-m", "all=1,web=2", "-p", "7000", "--user", "ada")
    assert ended.exit_code == 0
    for part in (
        "# shop.target\n[Unit]\n",
        "# shop-web.2.service\n",
        'Environment="SECRET=s"\n',
        'Environment="PORT=7001"\n',
        "User=ada\n",
        f"WorkingDirectory={directory}\n",
        "systemctl enable --now shop.target\n",
    ):
        assert part in ended.output


@pytest.mark.usefixtures("directory")
def test_export_writes_files_for_its_user_alone(tmp_path: Path) -> None:
    there = tmp_path / "units"
    for _ in range(2):  # also over those of the last time
        ended = call("export", "supervisord", str(there))
        assert ended.exit_code == 0, ended.exception
        assert {path.name for path in there.iterdir()} == {
            "shop.conf",
            "shop-web.1.sh",
            "shop-worker.1.sh",
        }
        assert f"hsup: wrote {there}/shop.conf\n" in ended.output
        for path in there.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            path.chmod(0o644)


def test_a_release_phase_is_exported_where_that_can_be_done(directory: Path) -> None:
    (directory / "Procfile").write_text("web: serve\nrelease: migrate\n")
    assert "# shop-release.service\n" in call("export", "systemd").output
    assert "the release phase is not exported" in call("export", "launchd").output


@pytest.mark.usefixtures("directory")
def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    assert "is missing" in str(failed("export"))
    assert '"x" is not one of' in str(failed("export", "x")).replace("'", '"')
    assert "-p auto cannot be exported" in str(failed("export", "systemd", "-p", "auto"))
    (tmp_path / "file").touch()
    assert f"cannot write {tmp_path}/file: " in str(
        failed("export", "launchd", str(tmp_path / "file"))
    )
    assert 'has no process type "wbe"' in str(failed("export", "launchd", "-m", "wbe=2"))
