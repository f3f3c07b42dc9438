"""A run of the second tier: rounds of faults and calm on one stage, and what came of it.

Guarantees: in each round a workload is declared under faults, then everything must converge within `calm_s`, be as
declared, come to rest, show a pulled cable, and vanish when deleted. Every revision that etcd ever had is checked.
Runs on a thread of its own, which may wait for etcd; the stage goes on meanwhile on the main thread.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count

from actors.core import keys
from actors.core.model import Ref
from sim import catalog, workload
from sim.api_server import ApiServer
from sim.dice import Dice
from sim.invariants import Crashed, Stuck, Violation
from sim.real.checks import Logs, promises
from sim.real.gateway import Ended, Members, Recorder
from sim.real.heat_history import HeatHistory
from sim.real.stage import Seen, Stage
from sim.real.world import Faults, RealWorld
from sim.truth import OURS
from sim.workload import Op

_STEP_S, _REST_S = 0.05, 6.0
#: How it stands is said after so long, and ever more seldom while nothing changes but the time.
_SAY_S, _SAY_MAX_S = 10.0, 160.0
#: On average a resource is changed every so many seconds while faults are on.
UNREST_S = 0.4
#: Faults of one round last so long at most.
_ROUND_S = 45.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to play. `calm_s`: how long convergence may take, on a slow machine."""

    seed: int
    resources: int
    minutes: float
    calm_s: float


@dataclass(slots=True)
class Signals:
    """What the conductor tells the main thread. `striking`: faults are on; `calmed`: all of them are undone."""

    striking: threading.Event = field(default_factory=threading.Event)
    calmed: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class Agenda:
    """Real time for an API server: what is to be done when."""

    def __init__(self) -> None:
        self._things: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    def at(self, due: float, call: Callable[[], None]) -> None:
        """Have that done then."""
        heappush(self._things, (due, next(self._order), call))

    def ready(self) -> Iterator[Callable[[], None]]:
        """What is to be done now."""
        while self._things and self._things[0][0] <= self.now:
            yield heappop(self._things)[2]


def _unrest(seed: int, drawn: workload.Workload, faults_s: float) -> Iterator[Op]:
    """Somebody changes something all the time: there is work in flight for every fault."""
    dice, at = Dice(seed, "unrest"), 1.0
    while at < faults_s:
        yield Op(at, "touch", dice.one(drawn.refs), {"note": f"u{dice.below(1000)}"})
        at += dice.between(0.0, 2 * UNREST_S)


class Conductor:
    """One run. `violation`: what was broken, if anything."""

    def __init__(
        self, wanted: Wanted, stage: Stage, hits: Counter[str], signals: Signals, say: Callable[[str], None]
    ) -> None:
        endpoints = stage.etcd.endpoints
        self.wanted = wanted
        self.stage = stage
        self.signals = signals
        self.violation: Violation | None = None
        self.failure: Exception | None = None
        self.recorder = Recorder(endpoints, signals.ended)
        self.members = Members(endpoints, signals.ended)
        self._say = say
        self._hits = hits
        self._logs = Logs()
        self._agenda = Agenda()
        self.rounds = 0
        self._began = time.monotonic()
        self._heard = 0
        self._said = self._looked = 0.0
        self._say_s, self._news = _SAY_S, ""
        self._phase, self._awaited = "starting", ""
        self.thread = threading.Thread(target=self._run, name="conductor", daemon=True)

    def _run(self) -> None:
        self.world = RealWorld(
            self.stage.controllers, self.recorder, HeatHistory(self.stage.heat_folder), self.stage.devices,
            Faults(self._hits),
        )  # fmt: skip
        self.invariants = promises(self.world)
        try:
            self._rounds()
        except Violation as broken:
            self.violation = broken
        except Ended:
            pass
        except Exception as error:  # noqa: BLE001 - told by the main thread
            self.failure = error
        finally:
            self.world.heat.close()

    def _rounds(self) -> None:
        self.world.api = ApiServer(self._agenda, self.members, self.wanted.seed)  # nothing is declared yet
        self._until(lambda: not self.world.truth.unowned(), "the controllers own everything")
        self._began = time.monotonic()
        end = self._began + 60.0 * self.wanted.minutes
        while not self.rounds or end - time.monotonic() > 20.0:
            self.rounds += 1
            self._round(min(_ROUND_S, max(10.0, 0.5 * (end - time.monotonic()))))
        self._whole()

    def _round(self, faults_s: float) -> None:
        world, seed = self.world, self.wanted.seed * 1000 + self.rounds
        drawn = workload.draw(seed, self.wanted.resources)
        pace = faults_s / drawn.duration_s
        world.workload = replace(drawn, ops=tuple(replace(op, at=op.at * pace) for op in drawn.ops))
        self._agenda = agenda = Agenda()  # nothing of the round before is left to do
        world.api = api = ApiServer(agenda, self.members, seed)
        self._enter(f"round {self.rounds}: faults for {faults_s:.0f} s")
        api.begin()
        start = agenda.now
        for op in (*world.workload.ops, *_unrest(seed, world.workload, faults_s)):
            agenda.at(start + op.at, lambda op=op: api.apply(op))  # type: ignore[misc]
        self.signals.calmed.clear()
        self.signals.striking.set()
        self._spin(faults_s)
        self._enter(f"round {self.rounds}: calm")
        self.signals.striking.clear()
        self._until(self.signals.calmed.is_set, "the faults are undone")
        api.mend()
        self._converge("after the faults")
        self._once_more()
        self._rest()
        for invariant in self.invariants:
            invariant.rested()
        self._unplug()
        self._enter(f"round {self.rounds}: deleting everything")
        self._delete_all()

    def _enter(self, phase: str) -> None:
        self._phase, self._awaited = phase, ""
        self._tell()

    def _tell(self) -> None:
        counts = f"{sum(self._hits.values())} faults, {self.world.finals} outcomes, revision {self.recorder.revision}"
        news = f"{self._phase}; {counts}{self._awaited}"
        self._say_s = min(2 * self._say_s, _SAY_MAX_S) if news == self._news else _SAY_S
        self._said, self._news = time.monotonic(), news
        self._say(f"{self._said - self._began:6.0f} s  {news}")

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            self._step()
            if time.monotonic() >= end:
                return
            if self.signals.ended.wait(_STEP_S):
                raise Ended

    def _step(self) -> None:
        """What is due: the API server's work, the checks of new revisions, now and then a look at the logs."""
        for call in self._agenda.ready():
            call()
        heard = len(self.recorder.all)
        for revision in self.recorder.all[self._heard : heard]:
            for change in revision.changes:
                if change.value is not None:
                    self.world.api.changed(change.entry)
        self._heard = heard
        while (found := self.world.next()) is not None:
            for invariant in self.invariants:
                invariant.revised(*found)
        if self.recorder.lost:
            raise Violation("History", self.recorder.lost)
        now = time.monotonic()
        if now - self._looked > 2.0:
            self._looked = now
            self.look_at_logs()
        if now - self._said > self._say_s:
            self._tell()

    def look_at_logs(self) -> None:
        """Whether something crashed. Raises Crashed."""
        if self.stage.crashed:
            raise Crashed("Crash", self.stage.crashed[0])
        self._logs.look([life.log for controller in self.stage.controllers for life in controller.lives])

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + self.wanted.calm_s
        while not condition():
            if time.monotonic() > limit:
                raise Stuck("Convergence", f"{what}: not within {self.wanted.calm_s:g} s")
            self._spin(_STEP_S)

    # ------------------------------------------------------------------------------------------- the calm

    def _converge(self, when: str) -> None:
        limit = time.monotonic() + self.wanted.calm_s
        while (left := self._unfinished()) is not None:
            if time.monotonic() > limit:
                raise Stuck("Convergence", f"{when}, within {self.wanted.calm_s:g} s: {left[1]}", left[0])
            self._awaited = f"; awaited: {left[0] or ''} {left[1]}"
            self._spin(0.2)
        self._awaited = ""

    def _unfinished(self) -> tuple[Ref | None, str] | None:
        """What is not final yet, and why; as far as everything that etcd has was looked at."""
        world, truth = self.world, self.world.truth
        if world.behind or self.recorder.revision < self.members.ask(lambda etcd: etcd.revision()):
            return None, "etcd's history is ahead of what was looked at"
        for ref, declared in world.api.declared.items():
            state = truth.state(ref)
            if state is None or state["version"] < declared.version:
                at = state["version"] if state is not None else "nothing"
                return ref, f"/state is at {at}, declared is {declared.version}"
            if declared.marked:
                if not state.get("error"):
                    return ref, f"deleted, but not cleared away: {state}"
            elif not state.get("error") and ref.type in catalog.WATCHED:
                seen = truth.values.get(keys.MONITORING + world.path(ref)) or {}
                if seen.get("version") != declared.version or set(seen.values()) - {"UP", seen["version"]}:
                    return ref, f"/monitoring is {seen}, declared is {declared.version}, devices are well"
        if free := truth.unowned():
            return None, free
        for key in truth.values:
            if key.startswith(keys.JOBS):
                return None, f"{key} is left"
            if key.startswith(keys.ACCEPTED) and not self._explained(key[len(keys.ACCEPTED) :]):
                return None, f"{key} is left, and it is not declared"
        return None

    def _explained(self, path: str) -> bool:
        """Whether it is declared, or the deletion of what vanished without a mark has failed."""
        state = self.world.truth.values.get(keys.STATE + path)
        declared = any(self.world.path(ref) == path for ref in self.world.api.declared)
        return declared or (state is not None and bool(state.get("error")))

    def _once_more(self) -> None:
        """An operator declares again what has failed, and deletes again what could not be deleted."""
        api = self.world.api
        for _ in range(3):
            hopeless, again = self.world.hopeless_now(), False
            for ref, declared in list(api.declared.items()):
                state = self.world.truth.state(ref)
                if state is None or not state.get("error") or (ref in hopeless and not declared.marked):
                    continue
                again = True
                if declared.marked:
                    api.mark_again(ref)
                else:
                    api.apply(Op(0.0, "touch", ref, {"note": "again"}))
            if not again:
                return
            self._converge("after failed ones were declared again")

    def _rest(self) -> None:
        """Nothing more is written of any resource, and all are as they should be. (On a machine that is slower than
        an SNMP timeout a device may seem silent once more.)"""
        limit = time.monotonic() + self.wanted.calm_s
        while True:
            before = len(self.recorder.all)
            self._spin(_REST_S)
            written = [
                c.key for r in self.recorder.all[before:] for c in r.changes if c.key.startswith(tuple(OURS))
            ]
            if not written and self._unfinished() is None:
                return
            if time.monotonic() > limit:
                raise Stuck("Rest", f"written again and again at rest: {written[:3]}")

    def _unplug(self) -> None:
        """A port goes down and comes back: both must be seen."""
        for ref, declared in self.world.api.declared.items():
            state = self.world.truth.state(ref)
            if ref.type == "port" and state is not None and not state.get("error"):
                for status in ("DOWN", "UP"):
                    self._plug(ref, declared.body["ip"], declared.body["name"], status)
                return

    def _plug(self, ref: Ref, device: str, port: str, status: str) -> None:
        self.stage.devices.append(Seen(time.time(), device, port, status))
        line = f"port {status.lower()} {port} {device}"
        self._until(lambda: self.stage.control(line), "the agents take a command")
        self._until(lambda: status in self._shown(ref), f"{ref} is shown as {status}")

    def _shown(self, ref: Ref) -> list[object]:
        return list((self.world.truth.values.get(keys.MONITORING + self.world.path(ref)) or {}).values())

    def _delete_all(self) -> None:
        api = self.world.api
        for ref in list(api.declared):
            api.apply(Op(0.0, "mark", ref))
        for _ in range(3):
            self._converge("after everything was marked for deletion")
            left = list(api.declared)
            for ref in left:
                api.mark_again(ref)
            if not left:
                break
        self._rest()
        self.world.outside(time.time())
        for invariant in self.invariants:
            invariant.emptied()

    def _whole(self) -> None:
        """What was recorded sums up to what etcd holds: nothing was missed."""
        revision, now = self.members.ask(lambda etcd: etcd.snapshot())
        self._until(lambda: self.recorder.revision >= revision, "the recorder sees everything")
        values: dict[str, bytes] = {}
        for one in self.recorder.all:
            for change in one.changes if one.number <= revision else ():
                if change.value is None:
                    values.pop(change.key, None)
                else:
                    values[change.key] = change.value
        if values != now:
            wrong = sorted({k for k, _ in values.items() ^ now.items()})
            raise Violation("History", f"etcd holds something else than was recorded: {wrong[:3]}")
