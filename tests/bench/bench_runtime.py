"""How many job sequences a second: in-process actor → pool process → back. Prints, asserts nothing.

python -m tests.bench.bench_runtime [sequences] [at once]
"""

from __future__ import annotations

import sys
import time

import psutil

from actors.runtime.actor import BaseActor
from actors.runtime.host import Address
from actors.runtime.io import IoActor
from actors.runtime.logs import LogConfig
from actors.runtime.system import System, start


class EchoPool(IoActor):
    """Answers."""

    def receive(self, message: object, sender: Address) -> None:
        """Everything comes back."""
        self.tell(sender, message)


class Job(BaseActor):
    """Asks the pool once, tells the shard, ends."""

    in_process = True

    def receive(self, message: object, sender: Address) -> None:
        """("go", pool) begins, the echo ends it."""
        if isinstance(message, tuple):
            self.shard = sender
            self.tell(message[1], "work")
        else:
            self.tell(self.shard, "done")
            self.stop_self()


class BenchShard(BaseActor):
    """Keeps a number of jobs going until enough are done."""

    def started(self) -> None:
        """Two pools."""
        self.pools = [self.spawn(EchoPool), self.spawn(EchoPool)]

    def receive(self, message: object, sender: Address) -> None:
        """(how many, at once) begins."""
        if isinstance(message, tuple):
            self.asker, self.left, self.done, self.total = sender, message[0], 0, message[0]
            for _ in range(min(message[1], self.left)):
                self.next()
            return
        self.done += 1
        if self.left:
            self.next()
        elif self.done == self.total:
            self.tell(self.asker, self.counters())

    def next(self) -> None:
        """One more job."""
        self.left -= 1
        self.tell(self.spawn(Job), ("go", self.pools[self.left % 2]))


def cpu_s(system: System) -> float:
    """CPU seconds of all processes of the system."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in system.pids())


def main() -> None:
    """Three loads, or the one of the arguments."""
    loads = [(2_000, 10), (20_000, 1_000), (50_000, 10_000)]
    if len(sys.argv) == 3:
        loads = [(int(sys.argv[1]), int(sys.argv[2]))]
    system = start(BenchShard, log_config=LogConfig(level="WARNING"))
    try:
        for total, at_once in loads:
            cpu, began = cpu_s(system), time.monotonic()
            counters = system.ask((total, at_once), 300, dict)
            took = time.monotonic() - began
            sys.stdout.write(
                f"{total} sequences, {at_once} at once: {total / took:,.0f}/s, "
                f"{(cpu_s(system) - cpu) / total * 1000:.3f} ms CPU each, {counters['frames']} frames so far\n"
            )
    finally:
        system.stop()


if __name__ == "__main__":
    main()
