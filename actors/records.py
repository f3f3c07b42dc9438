"""Everything that etcd holds of one resource, read together, and the plan that follows from it.

Guarantees: what cannot be read is an error that names the key (`BadValue`); the action follows from what was
really done (`core.outcome.choose_action`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from actors.core import keys
from actors.core.model import Action, Declared, Handler, Ref
from actors.core.outcome import Outcome, Realised, choose_action
from actors.core.resume import Records
from actors.core.world import World
from actors.messages import ReadDone
from actors.ports import Entry
from actors.transactions import Paths, handlers_built


def record_keys(p: Paths, job_ids: Iterable[str]) -> tuple[str, ...]:
    """The keys to read together; `job_ids`: the jobs that the mirror knows of."""
    jobs = tuple(keys.JOBS + job_id for job_id in job_ids)
    return (
        p.config,
        p.accepted,
        p.job_state,
        p.heat_stack,
        p.state,
        p.targets,
        p.history,
        p.attempts,
        p.request,
        p.drift,
        *jobs,
    )


def read_records(ref: Ref, p: Paths, declared: Declared | None, entries: Mapping[str, Entry]) -> Records:
    """What the entries say. Raises BadValue, KeyError or ValueError for what cannot be read."""
    outcome, accepted, results = None, None, None
    if (state := entries.get(p.state)) is not None:
        outcome = Outcome(*keys.decode_state(p.state, state.value), state.mod_revision)
    if (copy := entries.get(p.accepted)) is not None:
        accepted = keys.decode_accepted(p.accepted, copy.value, ref, copy.mod_revision)
    if (job_state := entries.get(p.job_state)) is not None:
        results = keys.decode_job_state(p.job_state, job_state.value)
    jobs = tuple(
        (keys.decode_job(key, entry.value), entry.mod_revision)
        for key, entry in entries.items()
        if key.startswith(keys.JOBS)
    )
    requested = entries[p.request].mod_revision if p.request in entries else 0
    return Records(declared, accepted, outcome, jobs, results, bool(handlers_built(entries, p)), requested)


def is_behind(p: Paths, read: ReadDone, world: World, seen: int) -> bool:
    """Whether what was read shows something that the mirror at revision `seen` did not have yet.

    What is planned from such a mirror is refused, or planned a second time: declaration and jobs are the mirror's.
    """
    entries = (read.entries.get(key) for key in (p.config, p.accepted, p.state))
    if any(entry is not None and entry.mod_revision > seen for entry in entries):
        return True
    ref = world.types.ref(p.config, keys.CONFIG)
    if ref is None or world.revision > read.revision:
        return False
    # a request goes with the plan that it led to, and with nothing else that such a mirror lacks
    taken_up = p.request not in read.entries and world.requested(ref)
    return taken_up or (p.config not in read.entries and world.stamp(ref) is not None)


def action_for(declared: Declared, records: Records, built: frozenset[Handler]) -> Action:
    """What is to be done for the declared version after what was done before."""
    done = records.outcome
    realised = Realised(done.version, done.worker_state) if done is not None else None
    action = choose_action(declared, realised, built=bool(built))
    if action is not None:
        return action
    # the same version once more: its declaration has vanished, or an operator asked for it
    if declared.marked_for_deletion:
        return Action.LOGICAL_DELETE
    return Action.MODIFY if built else Action.CREATE
