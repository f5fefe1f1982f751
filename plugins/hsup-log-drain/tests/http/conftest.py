"""A receiver for each test, and certificates for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hsup_log_drain.testing import Authority, HttpReceiver


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """Yield a running receiver; at the end, check that it was sent nothing invalid."""
    with HttpReceiver() as running:
        yield running
    assert running.invalid == []


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what would take seconds take less."""
    monkeypatch.setattr("hsup_log_drain.http.connection._ANSWER_SECONDS", 0.3)
    monkeypatch.setattr("hsup_log_drain.http.connection._REST_SECONDS", 0.1)
    monkeypatch.setattr("hsup_log_drain.http.dialing._SECONDS", 0.6)
