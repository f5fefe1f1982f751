"""A Platform API for each test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup_source_heroku.testing import App, PlatformApi

from .following import PROCESSES, Followed, MakeSource


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlatformApi]:
    """Yield a running server; at the end, check that its answers conform to the schema."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with PlatformApi() as running:
        yield running
    assert running.invalid == []


@pytest.fixture
def environ(api: PlatformApi, tmp_path: Path) -> dict[str, str]:
    return {
        "HEROKU_API_URL": api.url,
        "HEROKU_ACCESS_TOKEN": api.token,
        "HSUP_HEROKU_DIR": str(tmp_path / "state"),
    }


@pytest.fixture
def make_source(environ: Mapping[str, str], tmp_path: Path) -> Iterator[MakeSource]:
    made = []

    def make(*, follows_drains: bool = False, **changed: str) -> Followed:
        settings = Settings(
            directory=str(tmp_path),
            environ={**environ, **changed},
            app="shop",
            follows_drains=follows_drains,
        )
        made.append(Followed(settings))
        return made[-1]

    yield make
    for source in made:
        source.close()


@pytest.fixture
def app(api: PlatformApi) -> App:
    return api.create_app("shop", stack="heroku-24")


@pytest.fixture
def shop(app: App) -> App:
    app.release(config={"NAME": "value"}, processes=PROCESSES)
    app.scale(web=2)
    return app
