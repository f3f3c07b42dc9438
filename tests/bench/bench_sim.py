"""How many resources the simulator brings to their end on one core, with faults on. Prints, asserts nothing.

Each case is played between two runs of a fixed loop, so that the figure says what a resource costs in that loop, too:
the machine under it may be twice as fast a minute later. `even`: only cases between two loops of about the same time.

python -m tests.bench.bench_sim [seconds] [resources of a case …]
"""

from __future__ import annotations

import gc
import platform
import sys
import time
from dataclasses import dataclass, field

from sim.play import Player
from sim.world import Case

ROUNDS = 60_000
#: Two loops are about the same if the slower one takes no more than this much longer.
EVEN = 1.15


@dataclass
class Part:
    """Some of the cases. `loop_s`: the time of the loop, weighted with that of the cases."""

    outcomes: int = 0
    took_s: float = 0.0
    loop_s: float = 0.0
    rates: list[float] = field(default_factory=list)

    def add(self, outcomes: int, took_s: float, loop_s: float) -> None:
        """One more case."""
        self.outcomes += outcomes
        self.took_s += took_s
        self.loop_s += loop_s * took_s
        self.rates.append(outcomes / took_s)

    def __str__(self) -> str:
        if not self.took_s:
            return "none"
        loop_s = self.loop_s / self.took_s
        return (
            f"{self.outcomes / self.took_s:5.0f} outcomes/s (cases {min(self.rates):.0f} to {max(self.rates):.0f}); "
            f"one costs {self.took_s / self.outcomes / loop_s:.3f} loops of {1000 * loop_s:.1f} ms"
        )


def loop() -> float:
    """Seconds that some ordinary Python takes."""
    began, seen = time.perf_counter(), dict[tuple[int, str], int]()
    for number in range(ROUNDS):
        key = (number & 1023, "x")
        seen[key] = seen.get(key, 0) + len(str(number))
    return time.perf_counter() - began


def measure(seconds: float, resources: int) -> None:
    """Play seed after seed for that long."""
    everything, even = Part(), Part()
    until, seed = time.perf_counter() + seconds, 0
    while time.perf_counter() < until:
        seed += 1
        before, began = loop(), time.perf_counter()
        result = Player(Case(seed, resources)).run()
        gc.collect()
        took_s, after = time.perf_counter() - began, loop()
        assert result.violation is None, result.violation
        everything.add(result.finals, took_s, (before + after) / 2)
        if max(before, after) < EVEN * min(before, after):
            even.add(result.finals, took_s, (before + after) / 2)
    print(f"{resources:4} resources, {seed} seeds: {everything}", flush=True)
    print(f"{'':14} even, {len(even.rates)} seeds: {even}", flush=True)


def main() -> None:
    """One line for each size."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    sizes = [int(each) for each in sys.argv[2:]] or [40, 100, 200]
    print(f"Python {platform.python_version()}, {platform.python_compiler()}")
    Player(Case(1, 20)).run()
    gc.collect()
    gc.freeze()
    for size in sizes:
        measure(seconds, size)


if __name__ == "__main__":
    main()
