"""An authority for all tests, and an rsyslog for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hsup_log_drain.testing import Authority, Certificate, Rsyslog

from .sending import StartRsyslog


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def start_rsyslog(tmp_path: Path) -> Iterator[StartRsyslog]:
    """Yield a function that starts one, which ends with the test."""
    with ExitStack() as ending:

        def start(
            certificate: Certificate | None = None, clients_of: Path | None = None
        ) -> Rsyslog:
            rsyslog = Rsyslog(tmp_path / "rsyslog", certificate, clients_of)
            ending.callback(rsyslog.stop)
            rsyslog.start()
            return rsyslog

        yield start
