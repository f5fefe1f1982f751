"""Let dynos pass where iptables drops what is forwarded, as it does beside Docker.

What one table accepts another can still drop: Docker, and some firewalls, set the
policy of iptables' FORWARD chain to DROP. Docker's documentation has others put
their rules into its chain DOCKER-USER; elsewhere they follow all rules of FORWARD.
Docker's own networks stay closed to dynos but for the ports that are published.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hsup.errors import DriverError
from hsup_driver_libcontainer.links import DYNO_GROUP, METADATA_BIT, PEERS_BIT
from hsup_driver_libcontainer.system_tools import RunningTool, find_tool, run_tool

_DOCKER_CHAIN = "DOCKER-USER"
_COMMENT = "--comment hsup"
_MARK = f"-m comment {_COMMENT}"
_GROUP = f"{DYNO_GROUP:#x}/{0xFFFFFFFF & ~(PEERS_BIT | METADATA_BIT):#x}"
_FROM_DYNO = f"-m devgroup --src-group {_GROUP}"
_TO_DYNO = f"-m devgroup --dst-group {_GROUP}"
_RULES = (
    f"{_FROM_DYNO} -o docker0 {_MARK} -j RETURN",
    f"{_FROM_DYNO} -o br-+ {_MARK} -j RETURN",
    f"{_FROM_DYNO} {_MARK} -j ACCEPT",
    f"{_TO_DYNO} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT {_MARK} -j ACCEPT",
)


class ForwardChain(NamedTuple):
    """What iptables does with what is forwarded."""

    drops: bool
    has_docker: bool


class Iptables:
    """The host's iptables; all methods do nothing where it has none.

    The file `note` tells later hsups that there are rules to be removed.
    """

    def __init__(self, environ: Mapping[str, str], *, note: str) -> None:
        self._note = note
        self._tool = find_tool("iptables", environ)
        self._restore = find_tool("iptables-restore", environ)
        self._looking: RunningTool | None = None

    def begin_look(self) -> None:
        """Begin to look at the chain, for whoever asks next."""
        if self._tool:
            self._looking = RunningTool((self._tool, "-w", "-S", "FORWARD"))

    def look(self) -> ForwardChain:
        """Return what becomes of packets that no rule matches."""
        if self._looking is None:
            self.begin_look()
        if self._looking is None:
            return ForwardChain(drops=False, has_docker=False)
        output = self._looking.wait().output
        self._looking = None
        return ForwardChain(
            drops="-P FORWARD DROP" in output, has_docker=f"-j {_DOCKER_CHAIN}" in output
        )

    def let_pass(self) -> None:
        """Let dynos pass, if they would not. Raises DriverError."""
        forward = self.look()
        if not forward.drops:
            return
        chain = _DOCKER_CHAIN if forward.has_docker else "FORWARD"
        old = self._rules_of(chain)
        if len(old) == len(_RULES):
            return
        new = [
            f"-I {chain} {number} {rule}" if forward.has_docker else f"-A {chain} {rule}"
            for number, rule in enumerate(_RULES, start=1)
        ]
        with open(self._note, "w", encoding="ascii"):
            pass
        self._change([*_removals(old), *new])

    def forget(self) -> None:
        """Remove all rules for dynos. Raises DriverError."""
        if os.path.exists(self._note):
            old = [*self._rules_of("FORWARD"), *self._rules_of(_DOCKER_CHAIN)]
            if old:
                self._change(_removals(old))
            os.unlink(self._note)

    def _rules_of(self, chain: str) -> list[str]:
        """Return our rules in a chain, none for a chain that does not exist."""
        if not self._tool:
            return []
        listed = run_tool((self._tool, "-w", "-S", chain)).output.splitlines()
        return [line for line in listed if _COMMENT in line]

    def _change(self, lines: Sequence[str]) -> None:
        if not self._restore:
            raise DriverError("iptables-restore is missing", hint="apt-get install iptables")
        text = "\n".join(["*filter", *lines, "COMMIT", ""])
        ended = run_tool((self._restore, "-w", "--noflush"), text)
        if ended.status:
            problem = f"cannot change iptables' chain for dynos: {ended.complaint}"
            raise DriverError(problem, hint="run iptables -P FORWARD ACCEPT")


def _removals(rules: Sequence[str]) -> list[str]:
    return ["-D" + rule.removeprefix("-A") for rule in rules]
