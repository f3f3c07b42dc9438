"""The planted bugs, each a few lines that somebody might have written.

Guarantees: a bug is a list of (owner, attribute, replacement) made when it is planted. Names of the product's
inside are used here and nowhere else in `sim`; when one is renamed, the test of this list says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import actors.board as board
import actors.bridge_commits as commits
import actors.job_runs as job_runs
import actors.records as records
import actors.recording as recording
import actors.resource as resource
from actors.bridge_feed import Feed
from actors.core import backoff, ordering, outcome, polling, resume, stackdrive
from actors.core.machine import TABLE, Event, State
from actors.core.model import Action
from actors.core.plan import Jobless, Workflow
from actors.core.stackdrive import Next, Seen, Step
from actors.device import DeviceActor
from actors.etcd_bridge import EtcdBridge
from actors.heat_pool import HeatActor
from actors.messages import Committed
from actors.ownership import Holdings
from actors.ports import Delete, Put, WriteSet
from actors.requester import Requester
from actors.resource import ResourceActor
from actors.shard import Shard
from actors.subscription import Subscription
from actors.supervisor import Supervisor
from actors.watched import Watched
from sim.clients import SimSession, SimStore

Change = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug; `what` says it in words."""

    name: str
    what: str
    changes: Callable[[], Iterable[Change]]


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _decide(change: Callable[[Step, Action, int, list[Seen]], Step]) -> Callable[[], Iterable[Change]]:
    """A bug in the decision about stacks."""

    def changes() -> Iterable[Change]:
        real = stackdrive.decide

        def decide(wanted: Action, version: int, stacks: list[Seen], *, acted: bool) -> Step:
            return change(real(wanted, version, stacks, acted=acted), wanted, version, stacks)

        return [(stackdrive, "decide", decide)]

    return changes


def _unguarded(owner: Any, name: str, keep: int = 0) -> Callable[[], Iterable[Change]]:
    """A transaction that forgets its guards but the first `keep`."""

    def changes() -> Iterable[Change]:
        real = getattr(owner, name)

        def unguarded(*args: Any, **kwargs: Any) -> WriteSet:
            made: WriteSet = real(*args, **kwargs)
            return WriteSet(made.writes, made.guards[:keep])

        return [(owner, name, unguarded)]

    return changes


def _without(owner: Any, name: str, drop: Callable[[Put | Delete], bool]) -> Callable[[], Iterable[Change]]:
    """A transaction that forgets some of its writes."""

    def changes() -> Iterable[Change]:
        real = getattr(owner, name)

        def lacking(*args: Any, **kwargs: Any) -> WriteSet:
            made: WriteSet = real(*args, **kwargs)
            return WriteSet(tuple(w for w in made.writes if not drop(w)), made.guards)

        return [(owner, name, lacking)]

    return changes


def _swap(owner: Any, name: str, made: Any) -> Callable[[], Iterable[Change]]:
    return lambda: [(owner, name, made)]


def _table(state: State, event: Event, new: Any) -> Callable[[], Iterable[Change]]:
    """Another transition of the job machine."""

    def changes() -> Iterable[Change]:
        changed = {**TABLE, (state, event): new}

        def step(here: State, happened: Event) -> Any:
            return changed.get((here, happened)) or real(here, happened)

        real = resource.step
        return [(resource, "step", step)]

    return changes


# ------------------------------------------------------------------------------------- decisions about stacks


def _finish_any(step: Step, _wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    complete = stacks and stacks[0].status == "COMPLETE" and stacks[0].action in ("CREATE", "UPDATE")
    return Step(Next.FINISH, stacks[0].id) if complete and step.next is Next.UPDATE else step


def _finish_failed(step: Step, _wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    return Step(Next.FINISH, stacks[0].id) if step.next is Next.FAIL else step


def _impatient(step: Step, wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    building = wanted in (Action.CREATE, Action.MODIFY)
    return Step(Next.UPDATE, step.stack_id) if step.next is Next.WAIT and building and stacks else step


def _no_adopting(step: Step, wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    return Step(Next.CREATE) if wanted is Action.CREATE and stacks and step.next is not Next.FAIL else step


def _gone_at_once(step: Step, wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    return Step(Next.GONE) if wanted is Action.LOGICAL_DELETE else step


def _too_late(step: Step, _wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    return Step(Next.UPDATE, step.stack_id) if step.next is Next.REFUSE else step


def _ours(stack_id: str, action: str, status: str, reason: str, tags: Any) -> Seen:
    version = next((t for t in tags if t.startswith("v") and t[1:].isdigit()), "")
    return Seen(stack_id, action, status, reason, ours=True, version=version)


# -------------------------------------------------------------------------------------------- other inventions


def _skipping_watch() -> Iterable[Change]:
    real = SimStore.watch

    def watch(self: SimStore, prefix: str, *, revision: int, sink: Any) -> Any:
        return real(self, prefix, revision=revision + 3, sink=sink)

    return [(SimStore, "watch", watch)]


def _optimistic_doubt(write_set: Any, _entries: Any) -> int:
    return 1 if write_set.writes else 0


def _refused_is_committed() -> Iterable[Change]:
    real = ResourceActor._refused

    def refused(self: ResourceActor, message: Any) -> None:
        if message.failure is None:
            self._committed(self.fresh.declared.revision if self.fresh else 1)
        else:
            real(self, message)

    return [(ResourceActor, "_refused", refused)]


def _wrong_version() -> Iterable[Change]:
    real = ResourceActor._do_record_state

    def record(self: ResourceActor) -> None:
        job, revision = self.jobs[0]
        if job.action is Action.MODIFY:
            self.jobs = ((replace(job, version=job.version + 1), revision),)
        real(self)

    return [(ResourceActor, "_do_record_state", record)]


def _no_outputs() -> Iterable[Change]:
    real = HeatActor._done

    def done(self: HeatActor, drive: Any, reason: str, stack: Any = None) -> None:
        real(self, drive, reason, replace(stack, outputs=()) if stack is not None else None)

    return [(HeatActor, "_done", done)]


def _plan_no_delete() -> Iterable[Change]:
    real = resource.try_plan

    def try_plan(*args: Any, **kwargs: Any) -> Any:
        made = real(*args, **kwargs)
        if isinstance(made, Workflow) and made.action is Action.LOGICAL_DELETE:
            return Jobless(made.ref, made.version, outcome.DELETE_COMPLETED)
        return made

    return [(resource, "try_plan", try_plan)]


def _never_late() -> Iterable[Change]:
    real = ResourceActor._hold

    def hold(self: ResourceActor, held: Any) -> None:
        real(self, replace(held, bounded=False))

    return [(ResourceActor, "_hold", hold)]


def _stale_reads() -> Iterable[Change]:
    real = ResourceActor._do_load

    def load(self: ResourceActor) -> None:
        real(self)
        self.mirror_revision = 1 << 60

    return [(ResourceActor, "_do_load", load)]


def _no_gaps(self: Subscription, message: Any) -> bool:
    self._heard = self._actor.now()
    self._taken = message.number
    return bool(message.epoch == self._epoch)


def _deletes_wait() -> Iterable[Change]:
    def needed(self: Any, results: Any) -> Any:
        found = job_runs.rendering.needed_outputs(self._job.params)
        return tuple(sorted(ref for ref in found if ref != self._job.ref))

    return [(job_runs.Waits, "outputs_needed", needed)]


def _waiting_counts() -> Iterable[Change]:
    real = Shard._reported

    def reported(self: Shard, report: Any) -> None:
        real(self, report)
        self._held.clear()

    return [(Shard, "_reported", reported)]


def _always_up() -> Iterable[Change]:
    real = Watched.look

    def look(self: Watched, status: str, now_s: float) -> bool:
        return bool(real(self, "UP" if status == "DOWN" else status, now_s))

    return [(Watched, "look", look)]


def _trusting_indexes() -> Iterable[Change]:
    real = polling.read

    def read(rows: Any, reply: Any, reference: Any) -> Any:
        rows = list(rows)
        blind = {row.name_oid: row.name.encode() for row in rows if row.name}
        return real(rows, {**reply, **{k: v for k, v in blind.items() if k in reply}}, None)

    import actors.snmp_poll as snmp_poll

    return [(snmp_poll, "read", read)]


def _greedy() -> Iterable[Change]:
    real = SimSession.take

    def take(self: SimSession, wanted: Any, owner: str) -> Any:
        for key in wanted:
            if key in self._etcd._lease_of and (self._etcd.get(key) or Put(key, b"")).value != owner.encode():
                self._etcd.commit([WriteSet((Delete(key),))])
        return real(self, wanted, owner)

    return [(SimSession, "take", take)]


def _early_monitoring() -> Iterable[Change]:
    real = board.publish_monitoring

    def publish(p: Any, value: bytes, _state_revision: int) -> WriteSet:
        return WriteSet(real(p, value, 0).writes)

    def changed(self: Any, ref: Any, known: Any) -> None:
        statuses = self._members(ref, known)
        if statuses is not None and known.writing is None:
            rid = f"early {ref}"
            known.writing = (rid, self._shard.now())
            self._look_again(ref, 5.0)
            value = board.keys.encode_monitoring(statuses, known.version)
            where = board.paths(self._desk.world.types, ref)
            number = board.vshard(str(ref)) if hasattr(board, "vshard") else self._desk.vshard(ref)
            term = self._desk.terms.get(number, 0)
            self._shard.tell(self._desk.bridge, board.Commit(rid, publish(where, value, 0), number, term))

    return [(board.MonitorBoard, "_publish", changed)]


BUGS: tuple[Bug, ...] = (
    Bug("no fence", "writes do not carry the fence", _swap(commits, "_fenced", lambda one, _fence: one)),
    Bug("monitoring first", "/monitoring does not wait for /state", _early_monitoring),
    Bug("plan unguarded", "T1 has no guard", _unguarded(recording, "record_plan")),
    Bug("state unguarded", "T4 and its like have no guard", _unguarded(recording, "record_state")),
    Bug("doubt is success", "a lost answer counts as written", _swap(commits, "happened", _optimistic_doubt)),
    Bug("refused is committed", "a guard that did not hold is taken for success", _refused_is_committed),
    Bug("watch skips", "the watch is resumed at the wrong revision", _skipping_watch),
    Bug("compaction ignored", "a compacted watch is not begun anew", _swap(Feed, "_begin_anew", _nothing)),
    Bug("gaps unnoticed", "a lost message of the mirror goes unnoticed", _swap(Subscription, "takes_changes", _no_gaps)),
    Bug("no resubscription", "a silent bridge is never asked again", _swap(Subscription, "ticked", _nothing)),
    Bug("mirror trusted", "records are planned from a mirror that is behind them", _stale_reads),
    Bug("no deadline", "requests have no deadline", _swap(Requester, "arm", _nothing)),
    Bug("no back-off", "what failed is tried again at once", _swap(backoff, "delay_s", lambda *_: 0.001)),
    Bug("no adopting", "a stack that exists is created again", _decide(_no_adopting)),
    Bug("any version will do", "a complete stack of another version counts", _decide(_finish_any)),
    Bug("failed is complete", "a failed stack counts as complete", _decide(_finish_failed)),
    Bug("impatient", "a stack in progress is updated again", _decide(_impatient)),
    Bug("gone at once", "a deletion is not waited for", _decide(_gone_at_once)),
    Bug("too late is in time", "an older version overwrites a newer one, a stranger's stack is ours", _decide(_too_late)),
    Bug("everything is ours", "stacks without our mark are touched", _swap(stackdrive, "seen", _ours)),
    Bug("no version tag", "stacks do not tell their version", _swap(stackdrive, "tags", lambda _v: (stackdrive.MARK,))),
    Bug("no outputs", "the outputs of a stack are lost", _no_outputs),
    Bug("wrong version", "an update is recorded at the next version", _wrong_version),
    Bug("nobody waits", "dependencies are not waited for", _swap(job_runs.Waits, "live", _nothing)),
    Bug("unplanned is fine", "a producer that is not planned yet is not waited for", _swap(ordering, "is_unplanned", lambda *_: False)),
    Bug("deletes in any order", "a resource goes before those that need it", _swap(ordering, "referrers_to_delete", lambda *_: ())),
    Bug("delete without jobs", "a deletion is recorded and not done", _plan_no_delete),
    Bug("deletes wait", "deletions wait for outputs of what they need", _deletes_wait),
    Bug("no cycles", "rings of dependencies are not noticed", _swap(ordering, "find_cycle", _nothing)),
    Bug("waits for ever", "a missing relation is waited for without end", _never_late),
    Bug("waiters count", "who waits takes the place of what it waits for", _waiting_counts),
    Bug("jobs left", "a failure leaves its jobs behind", _without(recording, "record_failure", lambda w: isinstance(w, Delete) and "/jobs/" in w.key)),
    Bug("history left", "a forgotten resource leaves its history", _without(recording, "record_forget", lambda w: "/history/" in w.key)),
    Bug("targets forgotten", "what is watched does not survive a restart", _without(job_runs, "record_monitoring", lambda w: isinstance(w, Put) and "/targets/" in w.key)),
    Bug("never final", "a final version is begun again", _swap(resume, "is_final", lambda *_: False)),
    Bug("skips a job", "the result of a job is not recorded", _table(State.RUNNING, Event.DONE, TABLE[State.RECORDING_JOB, Event.COMMITTED_LAST])),
    Bug("retries lost", "a retry is never due", _table(State.BACKING_OFF, Event.DUE, (State.BACKING_OFF, ()))),
    Bug("no passivation", "settled actors live on", _swap(Shard, "_settled", _nothing)),
    Bug("nudges lost", "waiters are not told", _swap(Shard, "_nudge", _nothing)),
    Bug("dead actors stay", "a lost actor is not begun again", _swap(Shard, "child_exited", _nothing)),
    Bug("nobody is replaced", "dead processes are not replaced", _swap(Supervisor, "_replace", _nothing)),
    Bug("nobody is told", "a replacement is not announced", _swap(Supervisor, "_announce", _nothing)),
    Bug("losses untold", "shards are not told what they own", _swap(Holdings, "_tell", _nothing)),
    Bug("lease for ever", "an ended lease is not noticed", _swap(Holdings, "end", _nothing)),
    Bug("greedy", "shards of others are taken by force", _greedy),
    Bug("down is up", "a port that is down is said to be up", _always_up),
    Bug("trusting indexes", "ifIndexes are believed without their names", _trusting_indexes),
    Bug("one poll only", "a device is polled once", _swap(DeviceActor, "_arm", lambda self: None if self._polls > 1 else self.after(0.01, _POLL))),
)  # fmt: skip


def _poll() -> Any:
    from actors.messages import Tick

    return Tick("poll")


_POLL = _poll()

__all__ = ["BUGS", "Bug", "Committed", "EtcdBridge", "records"]
