"""The network of the dynos of one hsup: subnets, interfaces, and the rules of the firewall."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from hsup.api import Finding, Settings
from hsup.errors import DriverError
from hsup_driver_libcontainer.child.netlink_apply import NetworkPlan
from hsup_driver_libcontainer.leases import Leases, without
from hsup_driver_libcontainer.network import resolv
from hsup_driver_libcontainer.network.firewall import DIRECTORY, Firewall
from hsup_driver_libcontainer.network.host_routes import HostRoute, read_routes
from hsup_driver_libcontainer.network.link_watch import LinkWatch, wait_until_gone
from hsup_driver_libcontainer.network.links import Links, number_of_link
from hsup_driver_libcontainer.network.settings import EXTRA_INTERFACE, read_network_settings
from hsup_driver_libcontainer.network.subnets import (
    BLOCK_VARIABLE,
    Subnet,
    numbers_of,
    numbers_touched,
)

_REMEDY = f"set {BLOCK_VARIABLE} to a larger block, or to one that this host has no route to"


class Network:
    """Gives networks to dynos: `take_subnet`, `plan`, and after the end `gone` and `give_back`.

    Raises UsageError for an environment variable with an invalid value. Nothing is created
    before `begin`; `open` must have returned before the first plan is carried out.
    """

    def __init__(
        self, settings: Settings, run_directory: str, *, firewall_directory: str = DIRECTORY
    ) -> None:
        self._settings = read_network_settings(settings.environ)
        self._firewall = Firewall(settings.environ, firewall_directory)
        self._links = Links(self._settings, run_directory)
        self._watch = LinkWatch()
        self._numbers = numbers_of(self._settings.block)
        self._leases_path = f"{self._firewall.directory}/subnets"
        self._leases: Leases | None = None

    def examine(self) -> Sequence[Finding]:
        """Return what the host has for the network of dynos, and what it lacks."""
        return (*self._needs(), resolv.examine())

    def check(self) -> None:
        """Raise DriverError if the host lacks something that every dyno needs."""
        for finding in self._needs():
            if not finding.is_good:
                raise DriverError(finding.text, hint=finding.remedy)

    def begin(self) -> None:
        """Begin to make what all dynos share, unless that was done. Raises DriverError."""
        self.leases()
        self._firewall.begin()

    def open(self) -> None:
        """Block until what all dynos share is made. Raises DriverError."""
        self.begin()
        self._links.load()
        self._firewall.open()

    def begin_close_firewall(self) -> None:
        """Begin to remove the rules, unless another hsup uses them: no dyno has processes any more.

        The kernel removes the interface of the last dyno meanwhile.
        """
        self._firewall.begin_close()

    def close(self) -> None:
        """Give back everything, when no dyno is left."""
        self._firewall.close()
        if self._leases is not None:
            self._leases.close()
            self._leases = None

    def sweep(self) -> Sequence[str]:
        """Remove the leftovers of previous hsups; return what they were."""
        return self._firewall.sweep()

    def leases(self) -> Leases:
        """Return the leases of subnets; the processes of dynos keep their descriptor open."""
        if self._leases is None:
            resource = f"subnet in {self._settings.block}"
            self._leases = Leases(
                self._leases_path, self._numbers, resource=resource, remedy=_REMEDY
            )
        return self._leases

    def take_subnet(self) -> Subnet:
        """Lease a subnet that the host has no route to.

        Raises DriverError if none is free.
        """
        return Subnet(self.leases().take(_numbers_of(read_routes())))

    @property
    def directory(self) -> str:
        """Return the directory of the leases that all hsups of this network namespace share."""
        return self._firewall.directory

    @property
    def is_exclusive(self) -> bool:
        """Tell whether only one dyno at a time can have a network, because of its extra address."""
        return self._settings.extra_interface is not None

    def give_back(self, subnet: Subnet) -> None:
        """Make a subnet available again, after its interface has gone."""
        self.leases().give_back(subnet.number)

    def plan(self, subnet: Subnet, interface: str) -> NetworkPlan:
        """Return the requests for a dyno's network; `interface` names the host's end.

        The name has at most 15 characters. Raises OSError if the host's interface that the
        dyno is to share does not exist.
        """
        return self._links.requests(subnet, interface).plan

    @property
    def sample(self) -> Subnet:
        """Return one of the subnets that dynos may get, without leasing it."""
        return Subnet(self._numbers.start)

    def explain(self, subnet: Subnet, interface: str) -> Iterator[str]:
        """Yield the steps of `plan`, in words. Raises OSError as `plan` does."""
        made = self._links.sample(subnet, interface).plan
        yield from (f"on the host: {step}" for step in made.host_steps)
        yield from (f"in the dyno: {step}" for step in made.dyno_steps)

    async def gone(self, subnet: Subnet) -> None:
        """Wait until the host's end of an ended dyno's network is gone, if there was one.

        Raises OSError if it cannot be removed.
        """
        await self._watch.gone(number_of_link(subnet), self._links.removal(subnet))

    def wait_until_gone(self, subnet: Subnet) -> None:
        """Do what `gone` does; blocks."""
        wait_until_gone(number_of_link(subnet), self._links.removal(subnet))

    def _needs(self) -> Iterator[Finding]:
        yield self._firewall.examine()
        yield self._examine_block()
        if self._settings.extra_interface:
            yield _examine_interface(self._settings.extra_interface.parent)

    def _examine_block(self) -> Finding:
        subject = "subnets of dynos"
        routes = read_routes()
        free = sum(len(numbers) for numbers in without(self._numbers, _numbers_of(routes)))
        block = self._settings.block
        if free:
            return Finding(subject, is_good=True, text=f"{free} are free in {block}")
        routed = next(route for route in routes if _is_within(self._numbers, route))
        text = f"no subnet is free in {block}: {routed.interface} uses {routed.network}"
        return Finding(subject, is_good=False, text=text, remedy=_REMEDY)


def _numbers_of(routes: Sequence[HostRoute]) -> Sequence[range]:
    return [numbers_touched(route.network.addresses) for route in routes]


def _is_within(numbers: range, route: HostRoute) -> bool:
    touched = numbers_touched(route.network.addresses)
    return touched.start < numbers.stop and numbers.start < touched.stop


def _examine_interface(name: str) -> Finding:
    subject = "extra interface"
    if any(name == existing for _, existing in socket.if_nameindex()):
        return Finding(subject, is_good=True, text=f"{name} exists")
    return Finding(
        subject,
        is_good=False,
        text=f'{EXTRA_INTERFACE} names "{name}", but this host has no such interface',
        remedy="run ip -brief link to list its interfaces",
    )
