from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hsup.api import Settings
from hsup_source_heroku.releases import releases
from hsup_source_heroku.testing import PlatformApi


@pytest.mark.usefixtures("shop")
def test_releases_are_listed_without_what_is_only_shown(
    api: PlatformApi, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for field in ("user", "description", "created_at"):
        api.fail(api.without(field, is_null=True), path="/releases")
        settings = Settings(directory=str(tmp_path), environ=environ, app="shop")
        before = SimpleNamespace(settings=lambda settings=settings: settings)
        releases.main([], obj=before, standalone_mode=False)
        assert "v1" in capsys.readouterr().out
    api.fail(api.without("description", is_null=True), path="/releases")
    releases.main(["--json"], obj=before, standalone_mode=False)
    assert json.loads(capsys.readouterr().out)[0]["description"] is None
