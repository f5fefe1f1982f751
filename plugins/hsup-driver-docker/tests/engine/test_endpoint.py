from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from hsup.errors import UsageError
from hsup_driver_docker.engine.endpoint import Certificates, Endpoint, find


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with an empty directory .docker."""
    (tmp_path / ".docker").mkdir()
    return tmp_path


def certificates(directory: Path) -> Path:
    for name in ("ca", "cert", "key"):
        (directory / f"{name}.pem").write_text("x")
    return directory


def context(home: Path, name: str, host: str) -> Path:
    """Write a context as `docker context create` does."""
    key = hashlib.sha256(name.encode()).hexdigest()
    directory = home / ".docker/contexts/meta" / key
    directory.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    meta = {"Name": name, "Metadata": {}, "Endpoints": endpoints}
    (directory / "meta.json").write_text(json.dumps(meta))
    return home / ".docker/contexts/tls" / key / "docker"


def test_without_any_variable_it_is_the_local_socket(home: Path) -> None:
    assert find({"HOME": str(home)}) == Endpoint("unix:///var/run/docker.sock")


def test_docker_host_comes_first(home: Path) -> None:
    context(home, "there", "tcp://10.0.0.1:2375")
    environ = {"HOME": str(home), "DOCKER_CONTEXT": "there", "DOCKER_HOST": "unix:///x.sock"}
    assert find(environ).path == "/x.sock"


def test_a_context_is_chosen_by_its_variable(home: Path) -> None:
    context(home, "there", "tcp://10.0.0.1:2375")
    assert find({"HOME": str(home), "DOCKER_CONTEXT": "there"}).address == "tcp://10.0.0.1:2375"


def test_the_current_context_is_used(home: Path) -> None:
    context(home, "there", "unix:///there.sock")
    (home / ".docker/config.json").write_text('{"currentContext": "there"}')
    assert find({"HOME": str(home)}) == Endpoint("unix:///there.sock")
    assert find({"HOME": str(home), "DOCKER_CONTEXT": "default"}).path == "/var/run/docker.sock"


def test_the_certificates_of_a_context_are_used(home: Path) -> None:
    tls = context(home, "there", "tcp://10.0.0.1:2376")
    tls.mkdir(parents=True)
    certificates(tls)
    found = find({"HOME": str(home), "DOCKER_CONTEXT": "there"})
    assert found.certificates == Certificates(
        f"{tls}/ca.pem", (f"{tls}/cert.pem", f"{tls}/key.pem"), verify=True
    )


def test_a_context_that_there_is_not_is_bad_usage(home: Path) -> None:
    with pytest.raises(UsageError, match='no Docker context "gone"; list the contexts with'):
        find({"HOME": str(home), "DOCKER_CONTEXT": "gone"})


@pytest.mark.parametrize(
    ("variables", "verify"),
    [({"DOCKER_TLS_VERIFY": "1"}, True), ({}, False)],
)
def test_tls_is_spoken_with_the_certificates_of_the_directory(
    home: Path, tmp_path: Path, variables: dict[str, str], verify: bool
) -> None:
    directory = certificates(tmp_path)
    environ = {"HOME": str(home), "DOCKER_HOST": "tcp://a:1", "DOCKER_CERT_PATH": str(directory)}
    found = find({**environ, **variables}).certificates
    own = (f"{directory}/cert.pem", f"{directory}/key.pem")
    assert found == Certificates(f"{directory}/ca.pem", own, verify=verify)


def test_tls_looks_for_certificates_in_the_configuration(home: Path) -> None:
    certificates(home / ".docker")
    environ = {"HOME": str(home), "DOCKER_HOST": "tcp://a", "DOCKER_TLS_VERIFY": "1"}
    found = find(environ)
    assert found.host_port == ("a", 2376)
    assert found.certificates.authority == f"{home}/.docker/ca.pem"


def test_a_port_that_is_not_given_is_dockers() -> None:
    assert find({"DOCKER_HOST": "tcp://a"}).host_port == ("a", 2375)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("ssh://me@host", "cannot reach a Docker Engine over ssh.*ssh -NL"),
        ("frob://x", "is not the address of a Docker Engine; write unix:///var/run"),
        ("tcp://:2375", "is not the address of a Docker Engine"),
        ("tcp://a:port", "is not the address of a Docker Engine"),
    ],
)
def test_an_address_that_hsup_cannot_use_is_bad_usage(address: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        find({"DOCKER_HOST": address})


def test_a_damaged_context_is_bad_usage(home: Path) -> None:
    context(home, "there", "unix:///x")
    for meta in home.glob(".docker/contexts/meta/*/meta.json"):
        meta.write_text("{}")
    with pytest.raises(UsageError, match='the Docker context "there" is damaged; make it again'):
        find({"HOME": str(home), "DOCKER_CONTEXT": "there"})


def test_a_context_that_cannot_be_read_is_bad_usage(home: Path) -> None:
    context(home, "there", "unix:///x")
    for meta in home.glob(".docker/contexts/meta/*/meta.json"):
        meta.unlink()
        meta.mkdir()
    with pytest.raises(UsageError, match='cannot read the Docker context "there": Is a directory'):
        find({"HOME": str(home), "DOCKER_CONTEXT": "there"})
