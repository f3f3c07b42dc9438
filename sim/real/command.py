"""`python run.py sim --real`: the promises on real processes, a real etcd and real signals.

Guarantees: the exit code is as of the simulator (`sim.simulate.EXIT_CODES`); a failure leaves a folder with etcd's
history, the story of the resource and all logs, and prints its name and the command that draws the same faults again;
Ctrl-C and SIGTERM end it within seconds. Nothing is left running in any case, and that is checked too.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sim.arguments import bug, duration, positive
from sim.etcd_server import EtcdBinary, Grade, default_cache_dir, find_etcd
from sim.invariants import Violation
from sim.real import evidence
from sim.real.checks import ALL
from sim.real.faults import Deck, Strike
from sim.real.play import Conductor, Signals, Wanted
from sim.real.stage import Plan, Stage
from sim.real.strikes import Striker

_CODES = {"invariant": 10, "liveness": 11, "crash": 12}
_STEP_S, _RETRY_S, _TRIES = 0.05, 1.0, 8
STORY_LINES = 60


class LeftBehind(Violation):
    """Something of a controller was still there after its end."""


@dataclass(slots=True)
class Run:
    """One run: the stage and the faults on the main thread, the conductor on its own."""

    wanted: Wanted
    plan: Plan
    mean_s: float
    folder: Path
    binary: EtcdBinary
    hits: Counter[str] = field(default_factory=Counter)
    signals: Signals = field(default_factory=Signals)
    violation: Violation | None = None
    stage: Stage = field(init=False)
    deck: Deck = field(init=False)
    striker: Striker = field(init=False)
    conductor: Conductor | None = None
    dealt: int = 0

    def run(self) -> None:
        """Play it; `violation` says what was broken. Raises what is nobody's broken promise."""
        # an etcd that forgets acknowledged writes when killed would be blamed on the product
        safe_only = self.binary.grade is Grade.REFUSE or self.binary.version == "3.5.1"
        cluster = self.plan.members >= 3
        self.deck = Deck(self.wanted.seed, mean_s=self.mean_s, cluster=cluster, safe_only=safe_only)
        self.stage = Stage(self.plan, self.binary, self.folder, _say)
        try:
            self.stage.open()
            self.conductor = conductor = Conductor(self.wanted, self.stage, self.hits, self.signals, _say)
            self.striker = Striker(self.stage, lambda: conductor.recorder.revision)
            self.striker.hits = self.hits
            conductor.thread.start()
            self._until_the_end(conductor)
            if conductor.failure is not None:
                raise conductor.failure
            self.violation = conductor.violation
            self._keep(conductor)
        finally:
            with _undisturbed():
                self._close()

    def _close(self) -> None:
        self.signals.ended.set()
        wrong = self.stage.close()
        if self.conductor is not None:
            self.conductor.recorder.close()
            self.conductor.thread.join(10.0)
        if wrong and self.violation is None:
            self.violation = LeftBehind("NothingLeftBehind", "; ".join(wrong))

    def _until_the_end(self, conductor: Conductor) -> None:
        strikes: list[tuple[float, Strike, int]] = []
        dealing, began = self.deck.deal(), 0.0
        following = next(dealing)
        while conductor.thread.is_alive():
            now = time.monotonic()
            if self.signals.striking.is_set():
                if not began:
                    began, dealing = now, self.deck.deal()
                    following = next(dealing)
                while began + following.at <= now:
                    strikes.append((now, following, 0))
                    following = next(dealing)
                strikes = self._strike(strikes, now)
            elif not self.signals.calmed.is_set() and began:
                strikes.clear()
                self.stage.end_of_faults()
                if self.stage.heal():
                    began = 0.0
                    self.signals.calmed.set()
            self.stage.step()
            time.sleep(_STEP_S)

    def _strike(
        self, strikes: list[tuple[float, Strike, int]], now: float
    ) -> list[tuple[float, Strike, int]]:
        """What is due; who found nobody tries again a few times."""
        left = []
        for at, strike, tries in strikes:
            if at > now:
                left.append((at, strike, tries))
            elif self.striker.strike(strike):
                self.dealt += 1
            elif tries < _TRIES:
                left.append((now + _RETRY_S, strike, tries + 1))
        return left

    def _keep(self, conductor: Conductor) -> None:
        """The evidence of a broken promise, while everything still runs."""
        if self.violation is None:
            return
        ref = self.violation.ref
        told = evidence.keep(self.folder, conductor.world, ref, self.striker.told)
        for line in told[-STORY_LINES:]:
            _say(line)
        for controller in self.stage.controllers:
            if ref is None or self.violation.kind != "liveness":
                return
            said = evidence.explain(self.folder, controller, ref, self.stage.etcd.endpoints)
            _say(f"{controller.name} explains: {said.strip()}")

    def lacking(self) -> list[str]:
        """Kinds of fault that never struck although all were dealt."""
        if self.dealt < 1.5 * self.deck.size:
            return []
        return [kind.name for kind in self.deck.kinds if not self.hits[kind.name]]

    def table(self, seconds: float) -> str:
        """What was injected and checked, as text."""
        assert self.conductor is not None, "it was played"
        world = self.conductor.world
        lines = ["", f"{'fault':28}{'injected':>10}"]
        lines += [f"{k.name:28}{self.hits[k.name]:>10}" for k in self.deck.kinds if self.hits[k.name]]
        lines += ["", f"{'promise':28}{'checked':>10}"]
        checks = {type(one).__name__: one.checks for one in self.conductor.invariants}
        lines += [f"{each.__name__:28}{checks[each.__name__]:>10}" for each in ALL]
        lives = sum(len(controller.lives) for controller in self.stage.controllers)
        lines += [
            "",
            f"{sum(self.hits.values())} faults of {len(self.hits)} kinds in {self.conductor.rounds} rounds; "
            f"{lives} lives of {len(self.stage.controllers)} controllers, etcd {self.binary.version} of "
            f"{self.plan.members} member{'s' if self.plan.members > 1 else ''}",
            f"{world.finals} outcomes, {len(world.story)} revisions checked, of which {world.by_the_wire['answered']} "
            f"with a known writer and {world.by_the_wire['answer lost']} whose answer was lost; {seconds:.0f} s",
        ]
        return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    parsed = _parser().parse_args(arguments)
    seed = parsed.seed if parsed.seed is not None else int(time.time()) % 1_000_000
    wanted = Wanted(seed, parsed.resources, parsed.minutes, parsed.calm)
    plan = Plan(seed, parsed.members, parsed.controllers, parsed.mutant or "")
    binary = find_etcd(default_cache_dir())
    folder = Path(tempfile.mkdtemp(prefix="gatewright-real-"))
    run = Run(wanted, plan, parsed.mean, folder, binary)
    repeat = (
        f"python run.py sim --real --seed {seed} --members {plan.members} --controllers {plan.controllers} "
        f"--resources {wanted.resources} --minutes {wanted.minutes:g} --mean {parsed.mean:g}"
    )
    _say(f"seed {seed}: {repeat}")
    began = time.monotonic()
    previous = signal.signal(signal.SIGTERM, _terminated)
    try:
        run.run()
    except KeyboardInterrupt:
        _say("stopped")
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)
    print(run.table(time.monotonic() - began))
    if run.violation is not None:
        print(f"\n{run.violation}\nkept: {folder}\nthe same faults again: {repeat}")
        return _CODES[run.violation.kind]
    shutil.rmtree(folder, ignore_errors=True)
    lacking = run.lacking()
    for name in lacking:
        print(f"never occurred: fault {name}")
    return 13 if lacking else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py sim --real", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--real", action="store_true", help="this tier")
    parser.add_argument("--seed", type=int, help="of workload and faults (default: any)")
    parser.add_argument("--minutes", type=duration, default=2.0, help="about so long (default: %(default)s)")
    parser.add_argument("--resources", type=positive, default=40, metavar="N", help="of each round")
    parser.add_argument("--members", type=int, choices=(1, 3), default=1, help="of etcd")
    parser.add_argument("--controllers", type=int, choices=(1, 2, 3), default=2)
    parser.add_argument("--mean", type=duration, default=2.2, metavar="S", help="seconds between two faults")
    parser.add_argument("--mutant", type=bug, metavar="BUG", help="plant a bug (`sim.mutants`): it must fail")
    parser.add_argument(
        "--calm", type=duration, default=240.0, metavar="S", help="the longest that calm may take"
    )
    return parser


def _terminated(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave something behind."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
