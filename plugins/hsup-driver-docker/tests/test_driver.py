"""The driver on the engine of this machine, beyond the checks for all drivers."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.errors import DriverError
from hsup.model import Release
from hsup_driver_docker.driver import DockerDriver

from .running import output_of, run, spec


def test_the_environment_is_what_the_release_and_hsup_say_and_nothing_else(
    driver: DockerDriver, release: Release
) -> None:
    async def check() -> None:
        config = {"GREETING": "hello", "LANG": "C.UTF-8"}
        wanted = spec(release, "printenv", "-0", port=5000, config=config)
        out, _ = await output_of(driver, wanted)
        found = dict(line.split("=", 1) for line in out.decode().split("\0") if line)
        found.pop("_", None)
        found.pop("SHLVL")
        assert found.pop("PS1")
        assert found == {
            **config,
            "HOME": "/app",
            "PWD": "/app",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PORT": "5000",
            "DYNO": "web.1",
        }

    run(check())


def test_a_dyno_is_the_user_dyno_with_a_number_that_the_stack_has_given_to_nobody(
    driver: DockerDriver, release: Release
) -> None:
    async def check() -> None:
        line = "id -u; whoami; pwd; stat -c '%U %a' /app; touch /app/x && echo mine"
        out, _ = await output_of(driver, spec(release, line))
        assert out == b"3001\ndyno\n/app\ndyno 755\nmine\n"

    run(check())


def test_where_there_is_no_engine_the_error_says_what_to_do(
    settings: Settings, tmp_path: Path, release: Release
) -> None:
    environ = {**settings.environ, "DOCKER_HOST": f"unix://{tmp_path}/nosuch.sock"}
    text = r"cannot reach the Docker Engine at unix://.*/nosuch\.sock: No such file or directory; "
    with (
        closing(DockerDriver(settings._replace(environ=environ))) as driver,
        pytest.raises(DriverError, match=f"{text}start it"),
    ):
        driver.build(release)


def test_doctor_finds_the_engine(driver: DockerDriver) -> None:
    findings = {one.subject: one for one in driver.examine()}
    assert findings["engine"].is_good
    assert findings["init"].is_good
    assert json.dumps([one._asdict() for one in findings.values()])


def test_doctor_tells_what_to_do_without_an_engine(settings: Settings, tmp_path: Path) -> None:
    environ = {**settings.environ, "DOCKER_HOST": f"unix://{tmp_path}/nosuch.sock"}
    (finding,) = DockerDriver(settings._replace(environ=environ)).examine()
    assert not finding.is_good
    assert "start it" in (finding.remedy or "")
