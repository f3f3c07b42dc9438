"""The faults of the second tier: the catalogue, and when which of them strikes under a seed.

Guarantees: the same seed draws the same faults in the same order, with the same strength and luck. Whom a fault
finds, and what comes of it, is up to real processes. Nothing is drawn that the run cannot mend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.dice import Dice


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault and how often it is drawn. `cluster`: needs several members. `safe`: loses no data of an
    etcd that forgets acknowledged writes when killed."""

    name: str
    weight: int
    what: str
    cluster: bool = False
    safe: bool = True


#: The processes of a controller, by the part they play.
PARTS = ("run.py", "admin", "supervisor", "bridge", "shard", "heat pool", "snmp pool", "telemetry")

KINDS: tuple[Kind, ...] = (
    *(Kind(f"kill {part}", 1, f"SIGKILL of a controller's {part}") for part in PARTS),
    *(Kind(f"pause {part}", 1, f"SIGSTOP of a controller's {part}, SIGCONT later") for part in PARTS),
    Kind("stop run.py", 2, "SIGTERM of a controller: it stops in order"),
    Kind("stop process", 2, "SIGTERM of one of the other processes of a controller"),
    Kind("kill controller", 2, "SIGKILL of all its processes at once: the power goes"),
    Kind("pause controller", 3, "SIGSTOP of all its processes, mostly for longer than its lease"),
    Kind("reload controller", 1, "SIGHUP of run.py"),
    Kind("kill etcd", 2, "SIGKILL of a member", safe=False),
    Kind("stop etcd", 1, "SIGTERM of a member"),
    Kind("pause etcd", 2, "SIGSTOP of a member"),
    Kind("kill leader", 2, "SIGKILL of the leader: an election", cluster=True, safe=False),
    Kind("pause leader", 2, "SIGSTOP of the leader: an election", cluster=True),
    Kind("pause majority", 1, "SIGSTOP of two members of three: no quorum", cluster=True),
    Kind("compaction", 2, "all history but the last revision goes, while a bridge stands still"),
    Kind("cut", 2, "all connections of a controller to etcd are reset"),
    Kind("stall", 2, "no byte passes between a controller and etcd"),
    Kind("kill heat", 1, "SIGKILL of the Heat API server: what was in progress fails"),
    Kind("stop heat", 1, "SIGTERM of the Heat API server"),
    Kind("pause heat", 1, "SIGSTOP of the Heat API server"),
    Kind("heat lost reply", 2, "Heat does what it is asked and closes the connection instead of answering"),
    Kind("heat late reply", 1, "Heat does what it is asked and answers seconds later"),
    Kind("heat error", 2, "Heat answers 503 to some requests"),
    Kind("heat page", 1, "a proxy's page in place of Heat's answer"),
    Kind("heat failure", 1, "an action of a stack fails"),
    Kind("kill agents", 1, "SIGKILL of the SNMP agents"),
    Kind("pause agents", 1, "SIGSTOP of the SNMP agents"),
    Kind("device reboot", 1, "a device begins again"),
    Kind("device renumber", 1, "a device gives its interfaces other indexes"),
    Kind("device silent", 1, "a device answers nothing for a while"),
    Kind("port down", 2, "a port goes down and comes back"),
)


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault. `at`: seconds after the faults began. `amount`, `luck`: between 0 and 1, how long and whom."""

    at: float
    kind: str
    amount: float
    luck: float


class Deck:
    """The faults of one run, dealt like cards: each kind has come by the time all are dealt. `kinds`: those that can
    come here at all."""

    def __init__(self, seed: int, *, mean_s: float, cluster: bool, safe_only: bool) -> None:
        self._dice = Dice(seed, "real faults")
        self._mean_s = mean_s
        self.kinds = tuple(k for k in KINDS if (cluster or not k.cluster) and (k.safe or not safe_only))
        self._cards = [kind.name for kind in self.kinds for _ in range(kind.weight)]
        self._left: list[str] = []

    @property
    def size(self) -> int:
        """After so many strikes every kind has come."""
        return len(self._cards)

    def deal(self) -> Iterator[Strike]:
        """Those of the next round, without end; on average one every `mean_s` seconds."""
        at = 0.5
        while True:
            if not self._left:
                self._left = self._dice.shuffled(self._cards)
            yield Strike(at, self._left.pop(), self._dice.unit(), self._dice.unit())
            # now in quick succession, now with time in between to get on and to make up for it
            at += self._mean_s * (
                self._dice.between(0.1, 0.7) if self._dice.chance(0.7) else self._dice.between(1, 3.8)
            )
