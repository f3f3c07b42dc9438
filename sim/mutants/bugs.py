"""The list of planted bugs, each with what it is in words."""

from __future__ import annotations

from actors import bridge_commits as commits
from actors import job_runs, job_waits, recording
from actors.bridge_feed import Feed
from actors.core import backoff, ordering, resume, stackdrive
from actors.core.machine import TABLE, Event, State
from actors.core.world import World
from actors.device import DeviceActor
from actors.ownership import Holdings
from actors.ports import Delete, Put
from actors.recording import Recorder
from actors.requester import Requester
from actors.shard import Shard
from actors.subscription import Subscription
from actors.supervisor import Supervisor
from sim.mutants import inventions as made
from sim.mutants.planting import (
    ROUGH,
    STEERED,
    TANGLE,
    Bug,
    decide,
    nothing,
    swap,
    table,
    unguarded,
    without,
)

BUGS: tuple[Bug, ...] = (
    Bug("no fence", "writes do not carry the fence", swap(commits, "_fenced", lambda one, _fence: one)),
    Bug("monitoring first", "/monitoring does not wait for /state", made.early_monitoring),
    Bug("plan unguarded", "T1 has no guard", unguarded(recording, "record_plan")),
    Bug("state unguarded", "T4 and its like have no guard", unguarded(recording, "record_state")),
    Bug(
        "doubt is success",
        "a lost answer counts as written",
        swap(commits, "happened", made.optimistic_doubt),
    ),
    Bug("refused is committed", "a guard that did not hold is taken for success", made.refused_is_committed),
    Bug("watch skips", "the watch is resumed at the wrong revision", made.skipping_watch),
    Bug("compaction ignored", "a compacted watch is not begun anew", swap(Feed, "_begin_anew", nothing)),
    Bug(
        "gaps unnoticed",
        "a lost message of the mirror goes unnoticed",
        swap(Subscription, "takes_changes", made.no_gaps),
    ),
    Bug("no resubscription", "a silent bridge is never asked again", swap(Subscription, "ticked", nothing)),
    Bug("mirror trusted", "records are planned from a mirror that is behind them", made.stale_reads),
    Bug("no deadline", "requests have no deadline", swap(Requester, "arm", nothing)),
    Bug("no back-off", "what failed is tried again at once", swap(backoff, "delay_s", lambda *_: 0.001)),
    Bug("no adopting", "a stack that exists is created again", decide(made.no_adopting)),
    Bug("any version will do", "a complete stack of another version counts", decide(made.finish_any)),
    Bug("failed is complete", "a failed stack counts as complete", decide(made.finish_failed)),
    Bug("impatient", "a stack in progress is updated again", decide(made.impatient)),
    Bug("gone at once", "a deletion is not waited for", decide(made.gone_at_once)),
    Bug(
        "too late is in time",
        "an older version overwrites a newer one, a stranger's stack is ours",
        decide(made.too_late),
    ),
    Bug("everything is ours", "stacks without our mark are touched", swap(stackdrive, "seen", made.ours)),
    Bug(
        "no version tag",
        "stacks do not tell their version",
        swap(stackdrive, "tags", lambda _v: (stackdrive.MARK,)),
    ),
    Bug("no outputs", "the outputs of a stack are lost", made.no_outputs),
    Bug("wrong version", "an update is recorded at the next version", made.wrong_version),
    Bug("nobody waits", "dependencies are not waited for", swap(job_waits.Waits, "live", nothing)),
    Bug(
        "unplanned is fine",
        "a producer that is not planned yet is not waited for",
        swap(ordering, "is_unplanned", lambda *_: False),
    ),
    Bug(
        "deletes in any order",
        "a resource goes before those that need it",
        swap(ordering, "referrers_to_delete", lambda *_: ()),
    ),
    Bug("delete without jobs", "a deletion is recorded and not done", made.plan_no_delete),
    Bug("deletes wait", "deletions wait for outputs of what they need", made.deletes_wait),
    Bug("no cycles", "rings of dependencies are not noticed", swap(ordering, "find_cycle", nothing)),
    Bug("order for ever", "order alone is never given up", made.order_for_ever, TANGLE),
    Bug("waits for ever", "a missing relation is waited for without end", made.never_late),
    Bug("waiters count", "who waits takes the place of what it waits for", made.waiting_counts),
    Bug(
        "jobs left",
        "a failure leaves its jobs behind",
        without(recording, "record_failure", lambda w: isinstance(w, Delete) and "/jobs/" in w.key),
    ),
    Bug(
        "history left",
        "a forgotten resource leaves its history",
        without(recording, "record_forget", lambda w: "/history/" in w.key),
    ),
    Bug(
        "targets forgotten",
        "what is watched does not survive a restart",
        without(job_runs, "record_monitoring", lambda w: isinstance(w, Put) and "/targets/" in w.key),
    ),
    Bug("never final", "a final version is begun again", swap(resume, "is_final", lambda *_: False)),
    Bug(
        "skips a job",
        "the result of a job is not recorded",
        table(State.RUNNING, Event.DONE, TABLE[State.RECORDING_JOB, Event.COMMITTED_LAST]),
    ),
    Bug("retries lost", "a retry is never due", table(State.BACKING_OFF, Event.DUE, (State.BACKING_OFF, ()))),
    Bug("no passivation", "settled actors live on", swap(Shard, "_settled", nothing)),
    Bug("nudges lost", "waiters are not told", swap(Shard, "_nudge", nothing)),
    Bug("dead actors stay", "a lost actor is not begun again", swap(Shard, "child_exited", nothing)),
    Bug("nobody is replaced", "dead processes are not replaced", swap(Supervisor, "_replace", nothing)),
    Bug("nobody is told", "a replacement is not announced", swap(Supervisor, "_announce", nothing)),
    Bug("losses untold", "shards are not told what they own", swap(Holdings, "_tell", nothing)),
    Bug("lease for ever", "an ended lease is not noticed", swap(Holdings, "end", nothing)),
    Bug("down is up", "a port that is down is said to be up", made.always_up),
    Bug("trusting indexes", "ifIndexes are believed without their names", made.trusting_indexes),
    Bug(
        "one poll only",
        "a device is polled once",
        swap(DeviceActor, "_arm", made.one_poll),
    ),
    Bug(
        "null will do",
        "a stack is built without those that are going or gone",
        swap(job_waits.Waits, "_without_stack", nothing),
        ROUGH,
    ),
    Bug(
        "failed left nothing",
        "what failed leaves its stack when it vanishes",
        made.failed_left_nothing,
        ROUGH,
    ),
    Bug("pauses ignored", "what is paused goes on", swap(World, "paused", lambda *_: ""), STEERED),
    Bug(
        "requests stay",
        "what was asked for is done, and the request stays",
        swap(Recorder, "_taken_up", lambda _: ()),
        STEERED,
    ),
    Bug(
        "same ids",
        "jobs of a version once more are called as those before",
        swap(ordering, "_salt", lambda declared, _: str(declared.revision)),
        STEERED,
    ),
    Bug(
        "last words stand",
        "what is not watched any more keeps its /monitoring",
        without(job_runs, "record_monitoring", lambda w: isinstance(w, Delete) and "/monitoring/" in w.key),
        ROUGH,
    ),
)
