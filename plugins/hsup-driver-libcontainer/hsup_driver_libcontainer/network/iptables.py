"""Let the packets of dynos pass if iptables drops forwarded ones, as it does next to Docker.

A packet that one table accepts another can still drop: Docker, and some firewalls, set the
policy of iptables' FORWARD chain to DROP. Docker's documentation asks other software to put
rules into its chain DOCKER-USER; without Docker they go to the end of FORWARD. Docker's own
networks stay closed to dynos except for published ports.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hsup.errors import DriverError
from hsup_driver_libcontainer.child.system_tools import RunningTool, find_tool
from hsup_driver_libcontainer.network.links import DYNO_GROUP, METADATA_BIT, PEERS_BIT
from hsup_driver_libcontainer.requirements import how_to_install

_OPEN = "run iptables -P FORWARD ACCEPT, which lets this host forward the packets of all networks"
_FIND = "run iptables -S to find them by their comment, hsup, and remove them with iptables -D"

_DOCKER_CHAIN = "DOCKER-USER"
_COMMENT = "--comment hsup"
_MARK = f"-m comment {_COMMENT}"
_GROUP = f"{DYNO_GROUP:#x}/{0xFFFFFFFF & ~(PEERS_BIT | METADATA_BIT):#x}"
_FROM_DYNO = f"-m devgroup --src-group {_GROUP}"
_TO_DYNO = f"-m devgroup --dst-group {_GROUP}"
RULES = (
    f"{_FROM_DYNO} -o docker0 {_MARK} -j RETURN",
    f"{_FROM_DYNO} -o br-+ {_MARK} -j RETURN",
    f"{_FROM_DYNO} {_MARK} -j ACCEPT",
    f"{_TO_DYNO} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT {_MARK} -j ACCEPT",
)


class Forwarding(NamedTuple):
    """What iptables does with forwarded packets, and hsup's rules as `iptables -S` prints them."""

    drops: bool
    has_docker: bool
    ours: Sequence[str]


class Iptables:
    """The host's iptables; all methods do nothing if it is not installed.

    The file `note` tells later hsups which chain has rules to remove.
    """

    def __init__(self, environ: Mapping[str, str], *, note: str) -> None:
        self._note = note
        self._tool = find_tool("iptables", environ)
        self._restore = find_tool("iptables-restore", environ)
        self._looking: RunningTool | None = None

    def begin_look(self) -> None:
        """Begin to list the rules, for the next `look`."""
        if self._tool:
            self._looking = RunningTool((self._tool, "-w", "-S"))

    def look(self) -> Forwarding:
        """Return what iptables does with forwarded packets."""
        if self._looking is None:
            self.begin_look()
        if self._looking is None:
            return Forwarding(drops=False, has_docker=False, ours=())
        lines = self._looking.wait().output.splitlines()
        self._looking = None
        return Forwarding(
            drops="-P FORWARD DROP" in lines,
            has_docker=f"-A FORWARD -j {_DOCKER_CHAIN}" in lines,
            ours=[line for line in lines if _COMMENT in line],
        )

    def let_pass(self) -> None:
        """Add the rules for dynos if their packets would be dropped. Raises DriverError."""
        forward = self.look()
        if not forward.drops:
            return
        chain = _DOCKER_CHAIN if forward.has_docker else "FORWARD"
        if [line.split()[1] for line in forward.ours] == [chain] * len(RULES):
            return
        new = [
            f"-I {chain} {number} {rule}" if forward.has_docker else f"-A {chain} {rule}"
            for number, rule in enumerate(RULES, start=1)
        ]
        with open(self._note, "w", encoding="ascii") as file:
            file.write(chain)
        self._change([*_removals(forward.ours), *new], hint=_OPEN)

    def chain_of_rules(self) -> str | None:
        """Return the chain that has the rules for dynos, None if there are none."""
        try:
            with open(self._note, encoding="ascii") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def forget(self, *, are_removed: bool) -> None:
        """Remove the rules for dynos, unless `are_removed`, and the note.

        Raises DriverError.
        """
        if os.path.exists(self._note):
            if not are_removed and (old := self.look().ours):
                self._change(_removals(old), hint=_FIND)
            os.unlink(self._note)

    def _change(self, lines: Sequence[str], *, hint: str) -> None:
        if not self._restore:
            raise DriverError("iptables-restore is not installed", hint=how_to_install("iptables"))
        text = "\n".join(["*filter", *lines, "COMMIT", ""])
        ended = RunningTool((self._restore, "-w", "--noflush"), text).wait()
        if ended.status:
            problem = f"cannot change the iptables rules for dynos: {ended.complaint}"
            raise DriverError(problem, hint=hint)


def _removals(rules: Sequence[str]) -> list[str]:
    return ["-D" + rule.removeprefix("-A") for rule in rules]
