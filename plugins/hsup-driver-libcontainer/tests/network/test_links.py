"""Requests from a template are those that pyroute2 encodes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hsup_driver_libcontainer.network.link_messages import encode
from hsup_driver_libcontainer.network.link_values import LinkValues
from hsup_driver_libcontainer.network.links import (
    PLACEHOLDERS,
    Links,
    fill,
    group_of,
    number_of_link,
)
from hsup_driver_libcontainer.network.settings import read_network_settings
from hsup_driver_libcontainer.network.subnets import Subnet, numbers_of

SETTINGS = [
    {},
    {"LIBCONTAINER_DYNO_ALLOW_PEERS": "1", "LIBCONTAINER_DYNO_ALLOW_METADATA": "1"},
    {
        "LIBCONTAINER_DYNO_EXTRA_INTERFACE": "lo:10.0.0.10/24",
        "LIBCONTAINER_DYNO_EXTRA_ROUTES": "10.0.0.0/8:10.1.1.1:eth1,192.168.0.0/24:default:eth0",
    },
]
VALUES = LinkValues(
    name="hs0123456799999", number=1073741831, parent=2, gateway="10.9.8.5", dyno="10.9.8.6"
)


@pytest.mark.parametrize("environ", SETTINGS)
@pytest.mark.parametrize("has_ipv6", [True, False])
def test_a_filled_template_is_what_pyroute2_encodes(
    environ: dict[str, str], has_ipv6: bool
) -> None:
    settings = read_network_settings(environ)
    template = encode(settings, group_of(settings), PLACEHOLDERS, has_ipv6=has_ipv6)
    direct = encode(settings, group_of(settings), VALUES, has_ipv6=has_ipv6)

    filled = fill(template, VALUES)

    assert filled.plan.host == direct.plan.host
    assert filled.plan.dyno == direct.plan.dyno
    assert filled.removal == direct.removal
    assert "make the interface hs0123456799999" in filled.plan.host_steps


def test_each_subnet_has_a_number_of_its_own_that_fits_the_kernel() -> None:
    assert number_of_link(Subnet(0)) == 1 << 30
    assert number_of_link(Subnet((1 << 30) - 1)) == (1 << 31) - 1


def test_a_template_is_kept_and_pyroute2_not_imported_again(tmp_path: Path) -> None:
    settings = read_network_settings({})
    Links(settings, str(tmp_path)).load()
    program = (
        "import sys\n"
        "from hsup_driver_libcontainer.network.links import Links\n"
        "from hsup_driver_libcontainer.network.settings import read_network_settings\n"
        f"Links(read_network_settings({{}}), {str(tmp_path)!r}).load()\n"
        "print('pyroute2' in sys.modules)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert printed.stdout == b"False\n"


def test_a_sample_has_the_steps_of_a_dyno_and_leaves_no_template(tmp_path: Path) -> None:
    links = Links(read_network_settings({}), str(tmp_path))
    subnet = Subnet(7)
    plan = links.sample(subnet, "hs1").plan
    assert "give hs1 the address 0.0.0.29" in plan.host_steps
    assert "give eth0 the address 0.0.0.30" in plan.dyno_steps
    assert not list(tmp_path.iterdir())
    assert links.requests(subnet, "hs1").plan == plan


@pytest.mark.parametrize("damage", ["", "{", '["other", [["", "", [], "", []], ""]]'])
def test_a_damaged_or_old_template_is_made_again(tmp_path: Path, damage: str) -> None:
    settings = read_network_settings({})
    expected = Links(settings, str(tmp_path)).load()
    (tmp_path / "links.json").write_text(damage)
    assert Links(settings, str(tmp_path)).load() == expected
    assert Links(settings, str(tmp_path)).load() == expected


def test_other_settings_have_another_template(tmp_path: Path) -> None:
    one, other = (read_network_settings(environ) for environ in SETTINGS[:2])
    subnet = Subnet(numbers_of(one.block)[0])
    plans = {
        Links(settings, str(tmp_path)).requests(subnet, "hs1").plan.host
        for settings in (one, other, one)
    }
    assert len(plans) == 2
