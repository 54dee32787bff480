"""A network of its own for the members: a namespace each, wired to a bridge in another one.

The bridge is in a namespace too, so that no firewall of the machine sees what passes. The test
reaches every member from outside, whatever is cut between them. Everything has the same prefix
in its name, and is gone after `close`.
"""

import os
import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

HOST = 254
"""Our own address on the network."""

SUBNETS = tuple(f"198.{second}.{third}" for second in (18, 19) for third in range(256))
"""Set aside for measurements of networks: nothing else is there (RFC 2544)."""


class WiresUnavailable(Exception):
    """No network can be made on this machine or by this user. The text says why."""


class Wires:
    """The network; members are numbered from 1, and each has one address."""

    def __init__(self, names: Sequence[str], rng: random.Random) -> None:
        if os.geteuid() != 0:
            raise WiresUnavailable("networks need root")
        self._names = tuple(names)
        sweep()
        self._prefix = f"rb{os.getpid()}x{rng.randrange(0x100):02x}"
        used = _run("ip", "-4", "route", "show", "table", "all").stdout
        free = [subnet for subnet in SUBNETS if f"{subnet}." not in used]
        self._subnet = rng.choice(free)
        try:
            self._make()
        except WiresUnavailable:
            self.close()
            raise

    def _make(self) -> None:
        switch, outside = self._namespace("switch"), f"{self._prefix}h"
        _do("ip", "netns", "add", switch)
        _do("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        _do("ip", "-n", switch, "link", "set", "bridge", "up")
        _do("ip", "link", "add", outside, "type", "veth", "peer", "outside", "netns", switch)
        _do("ip", "-n", switch, "link", "set", "outside", "master", "bridge", "up")
        _do("ip", "addr", "add", f"{self._subnet}.{HOST}/24", "dev", outside)
        _do("ip", "link", "set", outside, "up")
        for name in self._names:
            inside = self._namespace(name)
            _do("ip", "netns", "add", inside)
            _do("ip", "-n", inside, "link", "set", "lo", "up")
            veth = ("type", "veth", "peer", "eth0", "netns", inside)
            _do("ip", "-n", switch, "link", "add", name, *veth)
            _do("ip", "-n", switch, "link", "set", name, "master", "bridge", "up")
            _do("ip", "-n", inside, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            _do("ip", "-n", inside, "link", "set", "eth0", "up")

    def _namespace(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def address(self, name: str) -> str:
        """Return a member's address."""
        return f"{self._subnet}.{self._names.index(name) + 1}"

    def inside(self, name: str) -> tuple[str, ...]:
        """Return what to put before a command so that it runs where a member is."""
        return ("ip", "netns", "exec", self._namespace(name))

    def cut(self, sender: str, receiver: str) -> None:
        """Let nothing pass from one member to another; the other way is not touched."""
        self._firewall(receiver, "-A", "INPUT", "-s", self.address(sender), "-j", "DROP")

    def lose(self, name: str, share: float) -> None:
        """Lose a share of what other members send to this one."""
        for other in self._names:
            if other != name:
                self._firewall(
                    *(name, "-A", "INPUT", "-s", self.address(other)),
                    *("-m", "statistic", "--mode", "random", "--probability", f"{share:.2f}"),
                    *("-j", "DROP"),
                )

    def slow(self, name: str, kilobits_per_s: int) -> None:
        """Let a member send only so much, to anyone."""
        _do(
            *("ip", "netns", "exec", self._namespace(name), "tc", "qdisc", "replace"),
            *("dev", "eth0", "root", "tbf", "rate", f"{kilobits_per_s}kbit"),
            *("burst", "4k", "latency", "400ms"),
        )

    def mend(self) -> None:
        """Let everything pass again."""
        for name in self._names:
            self._firewall(name, "-F", "INPUT")
            _run(*self.inside(name), "tc", "qdisc", "del", "dev", "eth0", "root")

    def _firewall(self, name: str, *arguments: str) -> None:
        _do(*self.inside(name), "iptables", "-w", "5", *arguments)

    def close(self) -> None:
        """Remove everything; processes inside must have ended."""
        _run("ip", "link", "del", f"{self._prefix}h")
        for name in (*self._names, "switch"):
            _run("ip", "netns", "del", self._namespace(name))


def sweep() -> None:
    """Remove networks whose makers were killed before they could."""
    for line in _run("ip", "netns", "list").stdout.splitlines():
        found = re.match(r"(rb(\d+)x[0-9a-f]{2})-", line)
        if found and not Path(f"/proc/{found[2]}").exists():
            _run("ip", "link", "del", f"{found[1]}h")
            _run("ip", "netns", "del", line.split()[0])


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError as error:
        raise WiresUnavailable(str(error)) from None


def _do(*command: str) -> None:
    done = _run(*command)
    if done.returncode:
        raise WiresUnavailable(f"{' '.join(command)}: {done.stderr.strip()}")
