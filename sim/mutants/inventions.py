"""Bugs that need more than a word: each is a function that somebody might have written.

Guarantees: names of the product's inside are used in this package and nowhere else in `sim`; when one is renamed,
the test of the list says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from actors import board, job_waits, rendering, resource, snmp_poll, transactions
from actors.core import keys, ordering, outcome, polling, resume, waiting
from actors.core.model import Action, Ref, Workflow
from actors.core.plan import Jobless
from actors.core.stackdrive import Next, Seen, Step
from actors.heat_pool import HeatActor
from actors.messages import Commit, Tick
from actors.ports import WriteSet
from actors.resource import ResourceActor
from actors.shard import Shard
from actors.subscription import Subscription
from actors.transactions import paths
from actors.watched import Watched
from sim.clients import SimStore
from sim.mutants.planting import Change

# ------------------------------------------------------------------------------------- decisions about stacks


def finish_any(step: Step, _wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    """A complete stack of any version is finished."""
    complete = stacks and stacks[0].status == "COMPLETE" and stacks[0].action in ("CREATE", "UPDATE")
    return Step(Next.FINISH, stacks[0].id) if complete and step.next is Next.UPDATE else step


def finish_failed(step: Step, _wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    """A failed stack is finished."""
    return Step(Next.FINISH, stacks[0].id) if step.next is Next.FAIL else step


def impatient(step: Step, wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    """What is in progress is updated."""
    building = wanted in (Action.CREATE, Action.MODIFY)
    return Step(Next.UPDATE, step.stack_id) if step.next is Next.WAIT and building and stacks else step


def no_adopting(step: Step, wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    """What exists is created."""
    return Step(Next.CREATE) if wanted is Action.CREATE and stacks and step.next is not Next.FAIL else step


def gone_at_once(step: Step, wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    """What is to be deleted is gone."""
    return Step(Next.GONE) if wanted is Action.LOGICAL_DELETE else step


def too_late(step: Step, _wanted: Action, _version: int, stacks: list[Seen]) -> Step:
    """What is refused is updated."""
    return Step(Next.UPDATE, step.stack_id) if step.next is Next.REFUSE else step


def ours(stack_id: str, action: str, status: str, reason: str, tags: Any) -> Seen:
    """Every stack bears our mark."""
    version = next((t for t in tags if t.startswith("v") and t[1:].isdigit()), "")
    return Seen(stack_id, action, status, reason, ours=True, version=version)


# -------------------------------------------------------------------------------------------- other inventions


def skipping_watch() -> Iterable[Change]:
    """The watch begins a few revisions later."""
    real = SimStore.watch

    def watch(self: SimStore, prefix: str, *, revision: int, sink: Any) -> Any:
        return real(self, prefix, revision=revision + 3, sink=sink)

    return [(SimStore, "watch", watch)]


def optimistic_doubt(write_set: Any, _entries: Any) -> int:
    """What is in doubt was written."""
    return 1 if write_set.writes else 0


def refused_is_committed() -> Iterable[Change]:
    """A guard that did not hold counts as held."""
    real = ResourceActor._refused

    def refused(self: ResourceActor, message: Any) -> None:
        if message.failure is None:
            self._committed(self.fresh.declared.revision if self.fresh else 1)
        else:
            real(self, message)

    return [(ResourceActor, "_refused", refused)]


def wrong_version() -> Iterable[Change]:
    """Updates are recorded at the next version."""
    real = ResourceActor._do_record_state

    def record(self: ResourceActor) -> None:
        job, revision = self.jobs[0]
        if job.action is Action.MODIFY:
            self.jobs = ((replace(job, version=job.version + 1), revision),)
        real(self)

    return [(ResourceActor, "_do_record_state", record)]


def no_outputs() -> Iterable[Change]:
    """Outputs are lost on the way."""
    real = HeatActor._done

    def done(self: HeatActor, drive: Any, reason: str, stack: Any = None) -> None:
        real(self, drive, reason, replace(stack, outputs=()) if stack is not None else None)

    return [(HeatActor, "_done", done)]


def plan_no_delete() -> Iterable[Change]:
    """Deletions have no jobs."""
    real = ordering.try_plan

    def try_plan(*args: Any, **kwargs: Any) -> Any:
        made = real(*args, **kwargs)
        if isinstance(made, Workflow) and made.action is Action.LOGICAL_DELETE:
            return Jobless(made.ref, made.version, outcome.DELETE_COMPLETED)
        return made

    return [(resource, "try_plan", try_plan)]


def never_late() -> Iterable[Change]:
    """Waiting for a missing relation has no end."""
    real = ResourceActor._hold

    def hold(self: ResourceActor, held: Any) -> None:
        real(self, replace(held, bounded=False))

    return [(ResourceActor, "_hold", hold)]


def stale_reads() -> Iterable[Change]:
    """The mirror is never behind."""
    real = ResourceActor._do_load

    def load(self: ResourceActor) -> None:
        real(self)
        self.mirror_revision = 1 << 60

    return [(ResourceActor, "_do_load", load)]


def no_gaps(self: Subscription, message: Any) -> bool:
    """Changes are taken whatever their number."""
    self._heard = self._actor.now()
    self._taken = message.number
    return bool(message.epoch == self._epoch)


def deletes_wait() -> Iterable[Change]:
    """Deletions need outputs."""

    def needed(self: Any, results: Any) -> Any:
        found = rendering.needed_outputs(self._job.params)
        return tuple(sorted(ref for ref in found if ref != self._job.ref))

    return [(job_waits.Waits, "outputs_needed", needed)]


def waiting_counts() -> Iterable[Change]:
    """Nobody counts as held."""
    real = Shard._reported

    def reported(self: Shard, report: Any) -> None:
        real(self, report)
        self._held.clear()

    return [(Shard, "_reported", reported)]


def order_for_ever() -> Iterable[Change]:
    """Whoever comes before for the sake of order is waited for, though it waits for us."""

    def alone(_world: Any, ref: Ref) -> tuple[Ref, ...]:
        return (ref,)

    def rings(_self: Any, live: dict[str, Ref]) -> tuple[dict[str, Ref], tuple[Ref, ...]]:
        return dict(live), ()

    waits = [(job_waits.Waits, "_without_rings", rings)]
    return [*waits, (job_waits, "may_wait_for", alone), (waiting, "may_wait_for", alone)]


def always_up() -> Iterable[Change]:
    """Down is up."""
    real = Watched.look

    def look(self: Watched, status: str, now_s: float) -> bool:
        return bool(real(self, "UP" if status == "DOWN" else status, now_s))

    return [(Watched, "look", look)]


def trusting_indexes() -> Iterable[Change]:
    """Every row bears the name that is wanted."""
    real = polling.read

    def read(rows: Any, reply: Any, reference: Any) -> Any:
        rows = list(rows)
        blind = {row.name_oid: row.name.encode() for row in rows if row.name}
        return real(rows, {**reply, **{k: v for k, v in blind.items() if k in reply}}, None)

    return [(snmp_poll, "read", read)]


def early_monitoring() -> Iterable[Change]:
    """/monitoring is written when it is known, whatever /state says."""
    real = transactions.publish_monitoring

    def publish(p: Any, value: bytes, *_revisions: int) -> WriteSet:
        return WriteSet(real(p, value, 0, 0).writes)

    def changed(self: Any, ref: Any, known: Any) -> None:
        statuses = self._members(ref, known)
        if statuses is not None and known.writing is None:
            rid = f"early {ref}"
            known.writing = (rid, self._shard.now())
            self._look_again(ref, 5.0)
            value = keys.encode_monitoring(statuses, known.version)
            where = paths(self._desk.world.types, ref)
            number = self._desk.vshard(ref)
            term = self._desk.terms.get(number, 0)
            self._shard.tell(self._desk.bridge, Commit(rid, publish(where, value), number, term))

    return [(board.MonitorBoard, "_publish", changed)]


def one_poll(self: Any) -> None:
    """A device is not looked at again."""
    if self._polls <= 1:
        self.after(0.01, Tick("poll"))


# --------------------------------------------------------------------------------------- people write past the API


def failed_left_nothing() -> Iterable[Change]:
    """What has no record of a stack has none."""
    real = resume._vanished

    def vanished(records: Any) -> Any:
        return real(records) if records.exists else resume.Forget()

    return [(resume, "_vanished", vanished)]
