"""Which faults a run suffers: the catalogue, the draw of a seed (swarm), and the injector that decides each one.

Guarantees: every seed draws a subset of kinds and a rate for each; every injected fault has a name
(`kind@place#count`) that stays the same as far as the run does; with `only` nothing but the named ones is
injected, which is how a failure is shrunk. Nothing is injected while `active` is False.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

from sim.dice import Dice, unit_at, unit_of


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. `timed`: `low` … `high` times per minute; else the chance at each opportunity."""

    name: str
    low: float
    high: float
    what: str
    timed: bool = False


def _timed(name: str, low: float, high: float, what: str) -> Kind:
    return Kind(name, low, high, what, timed=True)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        # messages between processes
        Kind("message.lost", 0.001, 0.05, "a message between processes never arrives"),
        Kind("message.twice", 0.001, 0.05, "a message between processes arrives twice"),
        Kind("message.late", 0.002, 0.05, "a message is late by up to 5 s; others overtake it"),
        Kind(
            "message.returned", 0.001, 0.02, "a receiver cannot read a message: it comes back to its sender"
        ),
        Kind("timer.late", 0.002, 0.05, "a timer fires up to 3 s late"),
        # actors and processes
        Kind("crash.message", 0.0002, 0.003, "a process dies at a message, before or after handling it"),
        _timed("crash.bridge", 0.2, 3.0, "the EtcdBridge's process dies"),
        _timed("crash.heat", 0.2, 3.0, "a HeatActor's process dies"),
        _timed("crash.snmp", 0.2, 3.0, "an SnmpPollerActor's process dies"),
        _timed("crash.shard", 0.2, 3.0, "a Shard's process dies, with all actors in it"),
        _timed("crash.actor", 0.5, 6.0, "one actor inside a Shard ends and its Shard is told"),
        _timed("crash.controller", 0.1, 1.0, "the Supervisor dies, and with it the whole controller"),
        Kind("crash.silent", 0.2, 1.0, "nobody is told of a death; only heartbeats find it"),
        Kind("crash.restart", 0.05, 0.5, "a new process dies while it starts"),
        _timed("stop.controller", 0.1, 1.0, "a controller is stopped cleanly and started again"),
        _timed("pause.process", 0.3, 4.0, "a process stands still for up to 40 s, then goes on (zombie)"),
        _timed("pause.controller", 0.1, 1.5, "a whole controller stands still for up to 60 s"),
        # clocks
        Kind(
            "clock.wall",
            0.2,
            1.0,
            "a controller's wall clock is up to an hour wrong, either way, from boot to boot",
        ),
        Kind("clock.drift", 0.2, 1.0, "a controller's clock runs up to 2 % fast or slow and begins anywhere"),
        # etcd
        Kind("etcd.refused", 0.005, 0.15, "a request does not reach etcd"),
        Kind("etcd.lost_before", 0.005, 0.15, "the answer to a write is lost, and it did not happen"),
        Kind("etcd.lost_after", 0.005, 0.15, "the answer to a write is lost, and it did happen"),
        Kind("etcd.slow", 0.002, 0.05, "etcd's disk takes 1 to 8 s"),
        Kind("etcd.too_large", 0.0005, 0.01, "a write is refused for good: too large"),
        Kind("etcd.token", 0.001, 0.03, "the token that we logged in with has expired"),
        Kind("etcd.exhausted", 0.001, 0.03, "an answer is refused for its size, or the server for its load"),
        _timed("etcd.election", 0.3, 3.0, "etcd has no leader for up to 4 s"),
        _timed("etcd.no_space", 0.1, 1.0, "etcd refuses writes for lack of space for up to 10 s"),
        _timed("etcd.partition", 0.2, 2.0, "one controller cannot reach etcd for up to 30 s"),
        _timed("etcd.watch_cut", 0.3, 4.0, "the watch breaks and resumes"),
        _timed("etcd.watch_stall", 0.3, 3.0, "the watch is silent for up to 20 s, without an error"),
        _timed("etcd.compaction", 0.3, 3.0, "history is compacted under a broken watch"),
        _timed("etcd.lease_early", 0.1, 2.0, "the owner's lease expires although it is kept alive"),
        Kind("etcd.lease_late", 0.1, 0.9, "a lease that is not kept alive ends up to 20 s late"),
        # Heat and Keystone
        Kind("heat.refused", 0.005, 0.15, "Heat does not accept the connection"),
        Kind("heat.error_5xx", 0.005, 0.15, "Heat answers 500 to 504; a write may or may not have happened"),
        Kind("heat.lost_after", 0.005, 0.15, "Heat has done it, and the answer is lost"),
        Kind("heat.html", 0.002, 0.05, "a proxy answers with a page: 404 without a type"),
        Kind("heat.token", 0.002, 0.05, "401: the token has expired"),
        Kind("heat.busy", 0.002, 0.1, "409: an action is in progress"),
        Kind("heat.conflict", 0.002, 0.05, "409 without a type: somebody else was quicker"),
        Kind("heat.refuses", 0.001, 0.02, "400: the template or its parameters are not valid"),
        Kind("heat.quota", 0.01, 0.2, "the quota of stacks is used up"),
        Kind("heat.slow", 0.002, 0.05, "a call to Heat takes 5 to 60 s"),
        Kind("heat.fails", 0.005, 0.1, "an action ends in FAILED"),
        Kind(
            "heat.long", 0.005, 0.1, "an action takes half a minute to five minutes, or until Heat gives up"
        ),
        Kind("heat.wordy", 0.3, 1.0, "an action ends in FAILED with a reason of a million letters"),
        Kind("heat.stuck", 0.002, 0.03, "an action stays IN_PROGRESS until somebody deletes the stack"),
        Kind("heat.delete_fails", 0.05, 0.5, "a delete ends in DELETE_FAILED"),
        _timed("heat.outage", 0.2, 1.0, "Heat accepts no connection for up to 30 s"),
        _timed("heat.engine", 0.1, 1.0, "the engine restarts: everything IN_PROGRESS is FAILED"),
        _timed("heat.foreign_delete", 0.1, 1.5, "somebody else deletes a stack"),
        _timed("heat.foreign_update", 0.1, 1.5, "somebody else updates a stack, and our mark is gone"),
        _timed("heat.twin", 0.1, 1.0, "a second stack of the same name appears"),
        # devices
        Kind("snmp.silent", 0.01, 0.4, "a request or its answer is lost"),
        Kind("snmp.slow", 0.005, 0.1, "the answer takes up to 12 s"),
        Kind("snmp.missing", 0.002, 0.05, "the agent knows nothing of what it is asked: noSuchInstance"),
        Kind("snmp.garbage", 0.002, 0.05, "the answer cannot be read"),
        _timed("snmp.quiet", 0.2, 2.0, "a device is silent for up to 60 s"),
        _timed("snmp.reboot", 0.2, 2.0, "a device restarts"),
        _timed("snmp.renumber", 0.2, 2.0, "a device's interfaces get other indexes"),
        _timed("snmp.swap", 0.2, 2.0, "two interfaces change their indexes, and nothing tells it"),
        _timed("snmp.nameless", 0.2, 2.0, "a port has no name for up to 60 s"),
        _timed(
            "snmp.moved",
            0.2,
            1.5,
            "another device answers at the address for up to 60 s, and knows no such port",
        ),
        _timed("snmp.flap", 0.3, 4.0, "a port goes down for up to 60 s"),
        # threads
        Kind(
            "thread.late",
            0.005,
            0.1,
            "what a thread brings waits for up to 5 s; what happened later is heard first",
        ),
    )
}

PROFILES = ("calm", "swarm", "storm", "rough", "tangle", "steered")


def draw(seed: int, profile: str) -> dict[str, float]:
    """Kind → rate for this seed. calm: none; storm: nearly all, at higher rates; the others: a random third."""
    if profile == "calm":
        return {}
    dice = Dice(seed, "swarm")
    share, floor = (0.85, 0.3) if profile == "storm" else (0.35, 0.0)
    rates = {}
    for kind in KINDS.values():
        picked, height = dice.chance(share), dice.unit()
        if picked:
            rates[kind.name] = kind.low + (kind.high - kind.low) * max(floor, height * height)
    return rates


class Injector:
    """Decides every fault of one run. `hits`: how many of each kind were injected; `names`: all of them."""

    def __init__(self, seed: int, rates: Mapping[str, float], only: frozenset[str] | None = None) -> None:
        self.seed = seed
        self.rates = dict(rates)
        #: What faults there are at all: most seeds have none of most kinds.
        self.families = {name.partition(".")[0] for name in rates}
        self.only = only
        self.active = True
        self.hits: Counter[str] = Counter()
        self.names: list[str] = []
        #: (kind, place) → the number of the place, and how many opportunities there were
        self._counts: dict[tuple[str, str], list[int]] = {}

    def hit(self, kind: str, place: str) -> bool:
        """Whether the fault happens at this opportunity."""
        if not self.active:
            return False
        rate = self.rates.get(kind)
        if rate is None:
            return False
        known = self._counts.get((kind, place))
        if known is None:
            known = self._counts[kind, place] = [crc32(f"{kind}@{place}".encode()), 0]
        known[1] = count = known[1] + 1
        if unit_at(self.seed, known[0], count) >= rate:
            return False
        return self._inject(kind, f"{kind}@{place}#{count}")

    def scheduled(self, duration_s: float) -> list[tuple[float, str]]:
        """(time, name) of all timed faults within the first `duration_s` seconds, in order."""
        times = []
        for kind in KINDS.values():
            rate = self.rates.get(kind.name)
            if rate is None or not kind.timed:
                continue
            expected = rate * duration_s / 60
            number = int(expected) + (unit_of(self.seed, kind.name, 0) < expected - int(expected))
            times += [
                (unit_of(self.seed, f"{kind.name} when", n) * duration_s, f"{kind.name}@#{n}")
                for n in range(1, number + 1)
            ]
        return sorted(times)

    def timed(self, name: str) -> bool:
        """Whether the scheduled fault of that name is to happen."""
        return self.active and self._inject(name.partition("@")[0], name)

    def amount(self, name: str) -> float:
        """How severe a fault is: a number in [0, 1) that belongs to its name."""
        return unit_of(self.seed, name, -1)

    @property
    def last(self) -> str:
        """The name of the fault that was injected last."""
        return self.names[-1]

    def _inject(self, kind: str, name: str) -> bool:
        if self.only is not None and name not in self.only:
            return False
        self.hits[kind] += 1
        self.names.append(name)
        return True
