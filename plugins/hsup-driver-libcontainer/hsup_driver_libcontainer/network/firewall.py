"""Keep the rules for dynos in the kernel while any hsup of the machine is running.

Every hsup has a shared lock on a file. An hsup that ends and gets an exclusive lock was the
last one, and removes the rules. A second lock lets one hsup at a time make them. The kernel
releases the locks of an hsup that was killed; a file tells later ones that there are rules
to remove.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from hsup.api import Finding
from hsup.errors import DriverError
from hsup.locks import EXCLUSIVE_NOW, MAKE, SHARED, lock_file, unlock
from hsup_driver_libcontainer.child.system_tools import Ended, RunningTool, find_tool
from hsup_driver_libcontainer.network import forwarding, nf_tables, nft
from hsup_driver_libcontainer.network.iptables import RULES, Iptables
from hsup_driver_libcontainer.network.resolv import link_local_name_servers
from hsup_driver_libcontainer.network.uplinks import uplinks
from hsup_driver_libcontainer.requirements import how_to_install
from hsup_driver_libcontainer.run_directories import make_own_directory

DIRECTORY = "/run/hsup/firewall"

#: How long to wait for another hsup, which takes some 20 ms; and how often to look.
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.002

_NO_NFT = "nft is not installed"
_NEEDED = "use Linux 5.10 or later with nf_tables, nat and fib"
_INSTALL_NFT = how_to_install("nftables")


class Firewall:
    """The rules, in use by this hsup from `begin` on, which does not wait for them to be made.

    `directory` is the same for all hsups, whatever their run directories: they share the rules
    if they share a network namespace.
    """

    def __init__(self, environ: Mapping[str, str], directory: str = DIRECTORY) -> None:
        self._environ = environ
        self.directory = f"{directory}/{os.stat('/proc/self/ns/net').st_ino}"
        self._made = f"{self.directory}/made"
        self._forwarding = f"{self.directory}/ip_forward"
        self._making_path = f"{self.directory}/making"
        self._use_path = f"{self.directory}/use"
        self._making = self._use = -1
        self._table: RunningTool | None = None
        self._is_new = False
        self._settling: socket.socket | None = None
        self._failure: DriverError | None = None
        self._iptables = Iptables(environ, note=f"{self.directory}/iptables")

    def begin(self) -> None:
        """Begin to make the rules, unless that was done. Raises DriverError."""
        if self._use >= 0:
            return
        self._nft()
        make_own_directory(self.directory)
        self._making = _locked_in_time(self._making_path)
        try:
            self._use = lock_file(self._use_path, SHARED, MAKE)
            self._is_new = not os.path.exists(self._made)
            with open(self._made, "w", encoding="ascii"):
                pass
            self._table = self._begin_table(is_new=self._is_new)
            self._iptables.begin_look()
        except OSError as error:
            self._give_up()
            raise DriverError(f"cannot set up the firewall: {error.strerror}") from error

    def open(self) -> None:
        """Wait until the rules are made. Raises DriverError, having removed them."""
        self.begin()
        if self._table is None:
            return
        table, self._table = self._table, None
        try:
            ended = table.wait()
            if (
                ended.status and self._is_new
            ):  # the table exists, though no hsup noted that it made it
                ended = self._begin_table(is_new=False).wait()
            _check(ended, f"cannot create the nftables table {nft.TABLE}", _NEEDED)
            self._iptables.let_pass()
            forwarding.turn_on(self._forwarding)
        except (DriverError, OSError) as error:
            with suppress(DriverError):  # the first error is what matters
                self.close()
            if isinstance(error, OSError):
                raise DriverError(f"cannot set up the firewall: {error.strerror}") from error
            raise
        finally:
            unlock(self._making)

    def begin_close(self) -> None:
        """Begin to remove the rules, unless another hsup uses them or there are none.

        `close` raises what goes wrong.
        """
        if self._use < 0:
            return
        try:
            if self._table is not None:
                self.open()
            unlock(self._use)
            self._use = -1
            self._take_away()
        except DriverError as error:
            self._failure = error

    def close(self) -> None:
        """Remove the rules as `begin_close` does, and wait for the kernel. Raises DriverError."""
        self.begin_close()
        self._settle()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def sweep(self) -> Sequence[str]:
        """Remove the rules that previous hsups left; return what they were."""
        if self._use >= 0 or not os.path.exists(self._made):
            return ()
        swept = self._take_away()
        self._settle()
        return swept

    def examine(self) -> Finding:
        """Return whether the host has nft(8), which makes the rules."""
        path = find_tool("nft", self._environ)
        if path is None:
            return Finding("nftables", is_good=False, text=_NO_NFT, remedy=_INSTALL_NFT)
        return Finding("nftables", is_good=True, text=f"nft is {path}")

    def _give_up(self) -> None:
        """Release the locks after `begin` failed; a sweep removes what was made."""
        if self._use >= 0:
            unlock(self._use)
            self._use = -1
        self._table = None
        unlock(self._making)

    def _take_away(self) -> Sequence[str]:
        """Remove the rules if no hsup uses them; return what they were. Raises DriverError."""
        try:
            alone = lock_file(self._use_path, EXCLUSIVE_NOW, MAKE)
        except BlockingIOError:
            return ()
        try:
            if not os.path.exists(self._made):
                return ()
            self._remove()
        finally:
            unlock(alone)
        return (f"the nftables table inet {nft.TABLE}",)

    def _remove(self) -> None:
        try:
            removal = nf_tables.remove(self._iptables.chain_of_rules(), len(RULES))
        except OSError as error:
            text = f"cannot remove the nftables table {nft.TABLE}: {error.strerror}"
            raise DriverError(text, hint=f"run nft delete table inet {nft.TABLE}") from error
        self._settling = removal.netlink
        self._iptables.forget(are_removed=removal.rules == len(RULES))
        # If iptables drops packets by default, other software needs forwarding, such as Docker.
        forwarding.restore(self._forwarding, lambda: self._iptables.look().drops)
        os.unlink(self._made)

    def _settle(self) -> None:
        """Wait until the kernel has removed the rules, see `nf_tables`."""
        settling, self._settling = self._settling, None
        if settling is not None:
            settling.close()

    def _begin_table(self, *, is_new: bool) -> RunningTool:
        text = nft.ruleset(link_local_name_servers(), uplinks(), is_new=is_new)
        return RunningTool((self._nft(), "-f", "-"), text)

    def _nft(self) -> str:
        path = find_tool("nft", self._environ)
        if path is None:
            raise DriverError(_NO_NFT, hint=_INSTALL_NFT)
        return path


def _check(ended: Ended, problem: str, remedy: str) -> None:
    if ended.status:
        raise DriverError(f"{problem}: {ended.complaint}", hint=remedy)


def _locked_in_time(path: str) -> int:
    """Lock a file exclusively, and return its descriptor. Raises DriverError."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return lock_file(path, EXCLUSIVE_NOW, MAKE)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                import shlex  # slow to import, rarely needed

                text = (
                    f"timed out after {_PATIENCE_SECONDS:g} s "
                    "waiting for another hsup to set up the firewall"
                )
                raise DriverError(text, hint=f"run fuser {shlex.quote(path)} to find it") from error
            time.sleep(_LOOK_SECONDS)
