"""Why a resource is where it is: the chain of true reasons down to the root, and what would heal a failure.

Guarantees: every sentence follows from something recorded in etcd or said by a running controller; a chain
never repeats a resource, so it ends. Of several resources that are waited for, the one whose own chain is the
longest is followed, since it will end last; the others are named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.core.durations import Durations
from actors.core.knowledge import Knowledge, Status, ref_of, ref_of_job
from actors.core.model import Handler, Json, Ref
from actors.core.ordering import without_document
from actors.core.outcome import READ_COMPLETE
from actors.core.pauses import resume
from actors.core.remedies import remedy
from actors.core.stages import FINAL

_FAILED_JOB = re.compile(r"dependency failed: (\S+?):? ")
#: Deeper chains are cut, which is said.
DEPTH_MAX = 100


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain. `facts`: further true sentences; `others`: what is waited for besides the next."""

    ref: Ref
    name: str
    version: int
    stage: str
    text: str
    since_s: float | None = None
    facts: tuple[str, ...] = ()
    others: tuple[Ref, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {
            "resource": str(self.ref),
            "name": self.name,
            "version": self.version,
            "stage": self.stage,
            "text": self.text,
            "since_seconds": None if self.since_s is None else round(self.since_s, 3),
            "facts": list(self.facts),
            "others": [str(ref) for ref in self.others],
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The chain, the resource asked for first, the root last. `remedy`: what heals the root, if it needs that."""

    steps: tuple[Step, ...]
    remedy: str

    @property
    def root(self) -> Step:
        """The last link: what everything before it waits for."""
        return self.steps[-1]

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {"chain": [step.to_json() for step in self.steps], "remedy": self.remedy}


class Explainer:
    """Explains resources of one installation. `look_s`: within how many seconds Heat is looked at again."""

    def __init__(self, known: Knowledge, look_s: float = 1.0) -> None:
        self._known = known
        self._durations = Durations(known)
        self._look_s = look_s
        self._status: dict[Ref, Status] = {}
        self._depth: dict[Ref, int] = {}

    def explain(self, ref: Ref) -> Explanation:
        """Why it is where it is now."""
        steps: list[Step] = []
        seen: set[Ref] = set()
        here: Ref | None = ref
        while here is not None and here not in seen and len(steps) < DEPTH_MAX:
            seen.add(here)
            status = self._of(here)
            blockers = [r for r in self._blockers(here, status) if r not in seen]
            after = max(blockers, key=self._depth_of) if blockers else None
            others = tuple(r for r in blockers if r != after)
            steps.append(self._step(status, others, after))
            here = after
        root = self._of(steps[-1].ref)
        return Explanation(tuple(steps), self._remedy(root) or _once_more(steps))

    def _of(self, ref: Ref) -> Status:
        if ref not in self._status:
            self._status[ref] = self._known.status(ref)
        return self._status[ref]

    def _blockers(self, ref: Ref, status: Status) -> tuple[Ref, ...]:
        if status.stage == "failed":
            job = _FAILED_JOB.search(status.error + " ")
            blamed = (ref_of_job(job[1]) or ref_of(job[1])) if job else None
            return (blamed,) if blamed is not None and blamed != ref else ()
        return tuple(r for r in status.awaits if r != ref) if status.stage not in FINAL else ()

    def _depth_of(self, ref: Ref) -> int:
        """How many links hang below; found without recursion, cycles count once."""
        todo: list[tuple[Ref, bool]] = [(ref, False)]
        while todo:
            here, back = todo.pop()
            below = self._blockers(here, self._of(here))
            if back:
                self._depth[here] = 1 + max((self._depth.get(r, 0) for r in below), default=0)
            elif here not in self._depth:
                self._depth[here] = 0
                todo.append((here, True))
                todo.extend((r, False) for r in below if r not in self._depth)
        return self._depth[ref]

    # -------------------------------------------------------------------------------------------- sentences

    def _step(self, status: Status, others: tuple[Ref, ...], after: Ref | None) -> Step:
        known, ref, since_s = self._known, status.ref, status.since_s
        facts = list(self._facts(status))
        facts.extend(
            problem
            for key, problem in known.world.problems.items()
            if ref.type in known.world.types and key.endswith("/" + known.world.types.path(ref))
        )
        text = status.error if status.stage == "failed" and status.error else status.reason
        blamed = _FAILED_JOB.search(text + " ") if status.stage == "failed" and after is not None else None
        if blamed is not None:  # the rest of its error is what the next link says
            text = f"{text[: blamed.start()]}dependency failed: {after}"
        if status.stage in FINAL:
            last = known.last(ref, status.version)
            since_s = max(0.0, known.now_s - last.ended_s) if last is not None else None
        return Step(ref, known.name(ref), status.version, status.stage, text, since_s, tuple(facts), others)

    def _facts(self, status: Status) -> list[str]:
        known, ref = self._known, status.ref
        if status.stage == "unknown" and known.world.declaration(ref) is None:
            return ["it is not declared: nothing will happen until it is"]
        if status.stage in FINAL:
            return _final_facts(known, status)
        facts = []
        jobs = known.jobs(ref)
        if status.stage == "running" and jobs:
            kind = "heat" if jobs[0].handler is Handler.HEAT else "device"
            action = jobs[0].action.value
            usual = self._durations.usual(ref.type, action, kind)
            if usual is not None:
                facts.append(
                    f"a {action} of this type takes {usual.p95_s:.1f} s at p95, {usual.p50_s:.1f} s at p50 "
                    f"(of {usual.count})"
                )
            if kind == "heat" and status.live:
                facts.append(f"next look within {self._look_s:g} s")
        tries = known.attempts(ref)
        if tries:
            facts.append(f"tried again {tries} times so far")
        facts.extend(self._pause_facts(ref, status))
        if known.unowned(ref):
            facts.append("no controller owns it: nothing goes on until one does")
        elif not known.asked:
            facts.append("no controller was asked: this is what etcd holds")
        return facts

    def _pause_facts(self, ref: Ref, status: Status) -> list[str]:
        if not _held(status):
            return []
        scope = self._known.world.paused(ref)
        by = next((p for p in self._known.pauses() if p.scope == scope), None)
        if by is None:
            return []
        ago = f" {duration(max(0.0, self._known.now_s - by.since_s))} ago" if by.since_s is not None else ""
        return [f"{by.by} paused that{ago}"]

    def _remedy(self, root: Status) -> str:
        if root.stage == "failed":
            return remedy(root.error)
        if root.stage in FINAL:
            drifted = self._known.world.drift(root.ref) is not None
            return "`reconcile` builds it once more as it is declared" if drifted else ""
        if _held(root):
            scope = self._known.world.paused(root.ref)
            return f"`{resume(scope)}`" if scope else ""
        if root.stage == "unknown":
            return "declare it, or correct the id that refers to it"
        if root.stage == "backing-off" or (root.stage == "planning" and not root.awaits):
            return remedy(root.error or root.reason)
        return ""


def _once_more(steps: list[Step]) -> str:
    """What heals those that failed for a cause that is none any more; "" if the chain has none."""
    root, failed = steps[-1], [step.ref for step in steps[:-1] if step.stage == "failed"]
    if root.stage == "failed" or not failed:
        return ""
    commands = ", then ".join(f"`retry {ref}`" for ref in reversed(failed))
    if root.stage in FINAL:
        return f"{root.ref} is {root.stage} now: {commands}"
    return f"once {root.ref} is settled: {commands}"


def _held(status: Status) -> bool:
    """Whether an operator's pause is the reason."""
    return status.stage == "paused" or "paused (" in status.reason


def _final_facts(known: Knowledge, status: Status) -> list[str]:
    facts = []
    declared, outcome = known.world.declaration(status.ref), known.world.outcome(status.ref)
    if declared is not None and outcome is not None and outcome.worker_state == READ_COMPLETE:
        absent = " and ".join(without_document(known.world, declared))
        if absent:
            facts.append(
                f"nothing was to be built, as there is no template {absent}; `reconcile` builds it once there is"
            )
    found = known.world.drift(status.ref)
    if found is not None:
        noticed = duration(max(0.0, known.now_s - found.found_s))
        facts.append(f"its stack differs from what was built, found {noticed} ago")
    seen, wrong = known.monitoring(status.ref), known.drift(status.ref)
    if seen:
        facts.append("its device says " + ", ".join(f"{k}={v}" for k, v in seen.items()))
    if wrong:
        facts.append("that is not as it should be: " + ", ".join(f"{k}={v}" for k, v in wrong.items()))
    last = known.last(status.ref, status.version)
    if last is not None:
        totals: dict[str, float] = {}
        for span in last.spans:
            totals[span.kind] = totals.get(span.kind, 0.0) + span.seconds
        spent = ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in totals.items() if seconds >= 0.005)
        ago = max(0.0, known.now_s - last.ended_s)
        facts.append(f"{last.action} ended {duration(ago)} ago" + (f" after {spent}" if spent else ""))
        if last.retries:
            facts.append(f"it was tried again {last.retries} times")
    return facts


def duration(seconds: float) -> str:
    """`41.2 s`, `12 min 5 s`, `3 h 20 min`, `5 d 3 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for big, small, name, part in ((86_400, 3600, "d", "h"), (3600, 60, "h", "min")):
        if whole >= big:
            return f"{whole // big} {name} {whole % big // small} {part}"
    return f"{whole // 60} min {whole % 60} s"
