"""Keep the rules for dynos in the kernel as long as any hsup of the machine lives.

Every hsup has a shared lock on a file; the one that can lock it alone when it ends
was the last, and takes the rules away. A second lock lets one hsup at a time make
them. The kernel undoes the locks of an hsup that was killed; a file tells the next
one that there is something to be taken away.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence

from hsup.api import Finding
from hsup.errors import DriverError
from hsup_driver_libcontainer import forwarding, nft
from hsup_driver_libcontainer.iptables import Iptables
from hsup_driver_libcontainer.resolv import link_local_name_servers
from hsup_driver_libcontainer.system_tools import RunningTool, find_tool, run_tool

_NO_NFT = "nft is missing"
_INSTALL_NFT = "install it: apt-get install nftables"


class Firewall:
    """The rules, used by this hsup from `begin` on, which need not be waited for."""

    def __init__(self, environ: Mapping[str, str], run_folder: str) -> None:
        self._environ = environ
        self._made = f"{run_folder}/firewall"
        self._forwarding = f"{run_folder}/ip_forward"
        self._change_path = f"{run_folder}/firewall.change"
        self._use_path = f"{run_folder}/firewall.use"
        self._change = self._use = -1
        self._table: RunningTool | None = None
        self._iptables = Iptables(environ)

    def begin(self) -> None:
        """Begin to make the rules; nothing if that was done. Raises DriverError."""
        if self._use >= 0:
            return
        tool = self._nft()
        self._change = _locked(self._change_path, fcntl.LOCK_EX)
        self._use = _locked(self._use_path, fcntl.LOCK_SH)
        with open(self._made, "w", encoding="ascii"):
            pass
        self._table = RunningTool((tool, "-f", "-"), nft.ruleset(link_local_name_servers()))
        self._iptables.begin_look()

    def open(self) -> None:
        """Return when the rules are made. Raises DriverError, and leaves none then."""
        self.begin()
        if self._table is None:
            return
        table, self._table = self._table, None
        try:
            _finish(table)
            self._iptables.let_pass()
            forwarding.turn_on(self._forwarding)
        except DriverError:
            self._give_up_use()
            raise
        finally:
            _unlock(self._change)

    def close(self) -> None:
        """Take the rules away, if nobody else uses them; nothing if they were not made."""
        if self._use < 0:
            return
        if self._table is not None:
            self.open()
        self._give_up_use()

    def sweep(self) -> Sequence[str]:
        """Take away what was left by hsups that are no more; say what that was."""
        if self._use >= 0 or not os.path.exists(self._made):
            return ()
        return self._remove_if_unused()

    def examine(self) -> Finding:
        """Tell whether the host has what the rules are made with."""
        path = find_tool("nft", self._environ)
        if path is None:
            return Finding("nftables", is_good=False, text=_NO_NFT, remedy=_INSTALL_NFT)
        return Finding("nftables", is_good=True, text=f"nft is {path}")

    def _give_up_use(self) -> None:
        _unlock(self._use)
        self._use = -1
        self._remove_if_unused()

    def _remove_if_unused(self) -> Sequence[str]:
        try:
            use = _locked(self._use_path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return ()
        try:
            return self._remove()
        finally:
            _unlock(use)

    def _remove(self) -> Sequence[str]:
        if not os.path.exists(self._made):
            return ()
        ended = run_tool((self._nft(), "-f", "-"), nft.REMOVAL)
        if ended.status:
            text = f"cannot remove the nftables table {nft.TABLE}: {ended.last_words}"
            raise DriverError(text, hint=f"run nft delete table inet {nft.TABLE}")
        self._iptables.forget()
        # Where packets are dropped unless a rule lets them pass, somebody forwards.
        forwarding.restore(self._forwarding, is_needed=self._iptables.look().drops)
        os.unlink(self._made)
        return (f"the nftables table inet {nft.TABLE}",)

    def _nft(self) -> str:
        path = find_tool("nft", self._environ)
        if path is None:
            raise DriverError(_NO_NFT, hint=_INSTALL_NFT)
        return path


def _finish(table: RunningTool) -> None:
    ended = table.wait()
    if ended.status:
        text = f"cannot make the nftables table {nft.TABLE}: {ended.last_words}"
        raise DriverError(text, hint="Linux 5.10 with nf_tables, nat and fib is needed")


def _locked(path: str, how: int) -> int:
    """Return a descriptor of a file that is locked. Raises BlockingIOError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def _unlock(descriptor: int) -> None:
    """End a lock also where a process that was forked meanwhile has the descriptor."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
