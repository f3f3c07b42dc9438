"""The job sequence of one resource as a table: (state, event) → (next state, commands).

Guarantees: the table is total. Every pair of state and event is a transition, or is listed as one that may
arrive late and means nothing, or is impossible; an impossible one makes the shell reload from etcd, which is
always right, since every state can be rebuilt from what is recorded. The table does no I/O; `mermaid()` draws it.

Whatever is in doubt goes back to LOADING: an answer that does not come, a guard that did not hold, a retry.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum


class State(StrEnum):
    """Where a resource is. The first word of what an operator sees."""

    NEW = "new"
    LOADING = "loading"  # reading its records from etcd
    PLANNING = "planning"  # jobs cannot be made yet: something it refers to is missing or not planned
    RECORDING_PLAN = "recording-plan"  # T1
    WAITING = "waiting"  # for jobs of other resources
    FETCHING = "fetching"  # reading outputs of other stacks
    RUNNING = "running"  # Heat or the devices are at it
    RECORDING_JOB = "recording-job"  # T2, T3
    RECORDING_STATE = "recording-state"  # T4
    BACKING_OFF = "backing-off"
    SETTLED = "settled"


class Event(StrEnum):
    """What can happen to it."""

    BEGIN = "begin"  # the shard wants it to look
    CHANGED = "changed"  # something it depends on, or its own declaration, changed
    SUPERSEDED = "superseded"  # a newer version of itself is declared
    OVERDUE = "overdue"  # an answer did not come in time
    DUE = "due"  # the back-off is over
    NOTHING = "nothing"  # loaded: this version is final already
    FRESH = "fresh"  # loaded: to be planned
    RESUMED = "resumed"  # loaded: jobs are recorded, go on with the next
    GONE = "gone"  # loaded: not declared any more, and nothing of it exists
    COMPLETE = "complete"  # loaded: all jobs are done, only the state is not written
    PLANNED = "planned"
    HELD = "held"  # cannot be planned yet, for a stated reason
    WITHDRAW = "withdraw"  # nor can its deletion, and others may wait for jobs of it that will never run
    WITHDRAWN = "withdrawn"
    JOBLESS = "jobless"  # no template: only a state to write
    READY = "ready"  # nothing left to wait for
    FETCHED = "fetched"
    DONE = "done"  # the job succeeded (or failed and may)
    RETRY = "retry"  # it failed, and may succeed later
    FAILED = "failed"  # it failed for good
    COMMITTED = "committed"
    COMMITTED_LAST = "committed-last"  # and that was the last job
    REFUSED = "refused"  # a guard did not hold


class Command(StrEnum):
    """What the actor is to do."""

    LOAD = "load"
    PLAN = "plan"
    RECORD_PLAN = "record-plan"
    RECORD_WITHDRAWAL = "record-withdrawal"
    CHECK = "check"  # dependencies
    FETCH = "fetch"
    RUN = "run"
    RECORD_JOB = "record-job"
    RECORD_STATE = "record-state"
    RECORD_JOBLESS = "record-jobless"
    RECORD_FAILURE = "record-failure"
    RECORD_FORGET = "record-forget"
    BACK_OFF = "back-off"
    SETTLE = "settle"


Transition = tuple[State, tuple[Command, ...]]

_S, _E, _C = State, Event, Command
_LOAD: Transition = (_S.LOADING, (_C.LOAD,))
_FAIL: Transition = (_S.RECORDING_STATE, (_C.RECORD_FAILURE,))
_RETRY: Transition = (_S.BACKING_OFF, (_C.BACK_OFF,))

TABLE: dict[tuple[State, Event], Transition] = {
    (_S.NEW, _E.BEGIN): _LOAD,
    # what is recorded decides how to go on
    (_S.LOADING, _E.NOTHING): (_S.SETTLED, (_C.SETTLE,)),
    (_S.LOADING, _E.FRESH): (_S.PLANNING, (_C.PLAN,)),
    (_S.LOADING, _E.RESUMED): (_S.WAITING, (_C.CHECK,)),
    (_S.LOADING, _E.COMPLETE): (_S.RECORDING_STATE, (_C.RECORD_STATE,)),
    (_S.LOADING, _E.GONE): (_S.RECORDING_STATE, (_C.RECORD_FORGET,)),
    (_S.LOADING, _E.OVERDUE): _LOAD,
    (_S.LOADING, _E.RETRY): _RETRY,
    # planning
    (_S.PLANNING, _E.PLANNED): (_S.RECORDING_PLAN, (_C.RECORD_PLAN,)),
    (_S.PLANNING, _E.HELD): (_S.PLANNING, ()),
    (_S.PLANNING, _E.WITHDRAW): (_S.RECORDING_PLAN, (_C.RECORD_WITHDRAWAL,)),
    (_S.PLANNING, _E.JOBLESS): (_S.RECORDING_STATE, (_C.RECORD_JOBLESS,)),
    (_S.PLANNING, _E.FAILED): _FAIL,
    (_S.PLANNING, _E.CHANGED): (_S.PLANNING, (_C.PLAN,)),
    (_S.PLANNING, _E.DUE): (_S.PLANNING, (_C.PLAN,)),
    (_S.PLANNING, _E.SUPERSEDED): _LOAD,
    (_S.RECORDING_PLAN, _E.COMMITTED): (_S.WAITING, (_C.CHECK,)),
    (_S.RECORDING_PLAN, _E.WITHDRAWN): _LOAD,
    (_S.RECORDING_PLAN, _E.REFUSED): _LOAD,
    (_S.RECORDING_PLAN, _E.OVERDUE): _LOAD,
    (_S.RECORDING_PLAN, _E.RETRY): _RETRY,
    (_S.RECORDING_PLAN, _E.FAILED): _FAIL,
    # waiting for others
    (_S.WAITING, _E.CHANGED): (_S.WAITING, (_C.CHECK,)),
    (_S.WAITING, _E.READY): (_S.FETCHING, (_C.FETCH,)),
    (_S.WAITING, _E.FAILED): _FAIL,
    (_S.WAITING, _E.SUPERSEDED): _LOAD,
    (_S.FETCHING, _E.FETCHED): (_S.RUNNING, (_C.RUN,)),
    (_S.FETCHING, _E.HELD): (_S.WAITING, ()),
    (_S.FETCHING, _E.FAILED): _FAIL,
    (_S.FETCHING, _E.SUPERSEDED): _LOAD,
    (_S.FETCHING, _E.OVERDUE): _LOAD,
    (_S.FETCHING, _E.RETRY): _RETRY,
    # the job itself
    (_S.RUNNING, _E.DONE): (_S.RECORDING_JOB, (_C.RECORD_JOB,)),
    (_S.RUNNING, _E.RETRY): _RETRY,
    (_S.RUNNING, _E.FAILED): _FAIL,
    (_S.RUNNING, _E.OVERDUE): (_S.RUNNING, (_C.RUN,)),
    (_S.RECORDING_JOB, _E.COMMITTED): (_S.FETCHING, (_C.FETCH,)),
    (_S.RECORDING_JOB, _E.COMMITTED_LAST): (_S.RECORDING_STATE, (_C.RECORD_STATE,)),
    (_S.RECORDING_JOB, _E.REFUSED): _LOAD,
    (_S.RECORDING_JOB, _E.OVERDUE): _LOAD,
    (_S.RECORDING_JOB, _E.RETRY): _RETRY,
    (_S.RECORDING_JOB, _E.FAILED): _FAIL,
    # the outcome
    (_S.RECORDING_STATE, _E.COMMITTED): (_S.SETTLED, (_C.SETTLE,)),
    (_S.RECORDING_STATE, _E.REFUSED): _LOAD,
    (_S.RECORDING_STATE, _E.OVERDUE): _LOAD,
    (_S.RECORDING_STATE, _E.RETRY): _RETRY,
    (_S.RECORDING_STATE, _E.FAILED): _RETRY,
    (_S.BACKING_OFF, _E.DUE): _LOAD,
    (_S.BACKING_OFF, _E.SUPERSEDED): _LOAD,
    (_S.SETTLED, _E.BEGIN): _LOAD,
    (_S.SETTLED, _E.CHANGED): _LOAD,
    (_S.SETTLED, _E.SUPERSEDED): _LOAD,
}

#: News that needs no reaction where they arrive: the state rechecks by itself before it goes on.
IGNORED: frozenset[tuple[State, Event]] = frozenset(
    (state, event)
    for state in State
    for event in (Event.BEGIN, Event.CHANGED, Event.SUPERSEDED, Event.DUE, Event.OVERDUE)
    if (state, event) not in TABLE
)


#: Where a newer version replaces what has not begun.
REPLACEABLE = frozenset({State.PLANNING, State.WAITING, State.FETCHING, State.SETTLED})


def step(state: State, event: Event) -> Transition | None:
    """The transition; the same state without commands where the event means nothing; None if impossible."""
    found = TABLE.get((state, event))
    if found is not None:
        return found
    return (state, ()) if (state, event) in IGNORED else None


def reachable() -> frozenset[State]:
    """Every state that can be reached from NEW."""
    seen = {State.NEW}
    todo = [State.NEW]
    while todo:
        here = todo.pop()
        for (state, _), (after, _) in TABLE.items():
            if state is here and after not in seen:
                seen.add(after)
                todo.append(after)
    return frozenset(seen)


def mermaid() -> str:
    """The table as a Mermaid state diagram."""
    return "\n".join(["stateDiagram-v2", "    [*] --> new", *_edges(), "    settled --> [*]"])


def _edges() -> Iterator[str]:
    for (state, event), (after, commands) in TABLE.items():
        doing = f" / {', '.join(commands)}" if commands else ""
        yield f"    {_name(state)} --> {_name(after)}: {event}{doing}"


def _name(state: State) -> str:
    return state.value.replace("-", "_")
