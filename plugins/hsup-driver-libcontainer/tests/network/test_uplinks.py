from __future__ import annotations

from pathlib import Path

import pytest

from hsup_driver_libcontainer.network.uplinks import uplinks

from .machine import Machine


def test_bridges_with_a_card_below_them_lead_out_and_others_do_not(tmp_path: Path) -> None:
    """One has the card itself, one a VLAN of bonded cards, one the end of a container."""
    ports = {
        "br0": "eth0",
        "vmbr1": "bond0.5",
        "bond0.5": "bond0",
        "bond0": "eth1",
        "mine": "veth1",
    }
    for name in {*ports, *ports.values()}:
        (tmp_path / name).mkdir()
    for above, below in ports.items():
        (tmp_path / above / f"lower_{below}").symlink_to(f"../{below}")
    for bridge in ("br0", "vmbr1", "mine"):
        (tmp_path / bridge / "bridge").mkdir()
    for card in ("eth0", "eth1"):
        (tmp_path / card / "device").mkdir()
    assert {"br0", "vmbr1"} == {*uplinks(str(tmp_path))} - {*uplinks(str(tmp_path / "none"))}


@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit"])
def test_a_default_route_that_leads_nowhere_has_no_interface(machine: Machine, kind: str) -> None:
    machine.run(f"ip route add {kind} default")
    assert uplinks("/nonexistent") == []
    machine.firewall().open()
