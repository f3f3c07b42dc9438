"""Going on from what is recorded: wherever a run was cut off, it ends the same."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core import keys
from actors.core.keys import ResourceType, TypeTable
from actors.core.model import Action, Declared, Handler, Job, Ref, Workflow
from actors.core.monitors import Target
from actors.core.outcome import Outcome
from actors.core.resume import Continue, Finish, Forget, Fresh, Nothing, Records, in_order, resume
from actors.ports import Entry, Guard, Put, WriteSet
from actors.records import read_records, record_keys
from actors.transactions import paths, record_heat, record_monitoring, record_plan, record_state
from sim.fake_etcd import FakeEtcd

REF = Ref("port", "p")
HEAT, MONITORING = Handler.HEAT, Handler.MONITORING
CREATE, MODIFY, DELETE, GONE = Action.CREATE, Action.MODIFY, Action.DELETE, Action.LOGICAL_DELETE
TABLE = TypeTable([ResourceType("port", "ports")])
PATHS = paths(TABLE, REF)
#: Every job sequence of contract 2.4.
SEQUENCES = [
    ((CREATE, HEAT), (CREATE, MONITORING)),
    ((CREATE, HEAT),),
    ((CREATE, MONITORING),),
    ((DELETE, MONITORING), (MODIFY, HEAT), (CREATE, MONITORING)),
    ((DELETE, MONITORING), (CREATE, MONITORING)),
    ((MODIFY, HEAT),),
    ((GONE, MONITORING), (GONE, HEAT)),
    ((GONE, HEAT),),
    ((GONE, MONITORING),),
]
Steps = tuple[tuple[Action, Handler], ...]


def workflow(steps: Steps, version: int = 1) -> Workflow:
    """The workflow of these jobs; ids that sort against their order."""
    ids = [f"{9 - n}:{action}:{handler}" for n, (action, handler) in enumerate(steps)]
    jobs = tuple(
        Job(
            id=ids[n],
            action=action,
            handler=handler,
            ref=REF,
            version=version,
            resource_input={"id": "p"},
            dependency=tuple(reversed(ids[:n])),
            is_first=n == 0,
            is_last=n == len(steps) - 1,
        )
        for n, (action, handler) in enumerate(steps)
    )
    return Workflow(REF, version, steps[-1][0], jobs)


class _Clock:
    def now(self) -> float:
        return 0.0


@dataclass
class Cut(Exception):
    """The controller died."""


@dataclass
class Controller:
    """Carries out what `resume` says with the real transactions, until it is cut off."""

    steps: Steps
    etcd: FakeEtcd = field(default_factory=lambda: FakeEtcd(_Clock()))
    ran: list[str] = field(default_factory=list)
    #: Cut before this many commits; None: never.
    cut: int | None = None
    after: bool = False

    def declare(self) -> None:
        """Write the declaration."""
        marked = any(action is GONE for action, _ in self.steps)
        value = keys.encode_declared({"id": "p"}, 1, marked_for_deletion=marked)
        self.etcd.commit([WriteSet((Put(PATHS.config, value),))])

    def records(self) -> Records:
        """Everything that is recorded."""
        names = record_keys(PATHS, [e.key[len(keys.JOBS) :] for e in self.page(keys.JOBS)])
        entries = {key: entry for key in names if (entry := self.etcd.get(key)) is not None}
        config = self.etcd.get(PATHS.config)
        assert config is not None
        declared = keys.decode_declared(PATHS.config, config.value, REF, config.mod_revision)
        return read_records(REF, PATHS, declared, entries)

    def page(self, prefix: str) -> tuple[Entry, ...]:
        """All entries under a prefix."""
        return self.etcd.page(prefix, "", 0, 0).entries

    def commit(self, write_set: WriteSet) -> None:
        """One transaction: it must hold, and may be the last thing before or after the death."""
        if self.cut == 0 and not self.after:
            raise Cut
        result = self.etcd.commit([write_set])
        assert result.accepted == (True,), "a continued run never meets a guard that does not hold"
        if self.cut == 0:
            raise Cut
        self.cut = None if self.cut is None else self.cut - 1

    def work(self) -> None:
        """Until nothing is to be done."""
        while True:
            found = resume(self.records())
            if isinstance(found, Nothing):
                return
            if isinstance(found, Fresh):
                read = {e.key: e for e in self.page("/esi-worker/")}
                self.commit(record_plan(PATHS, found.declared, workflow(self.steps), found.stale, read))
            elif isinstance(found, Continue):
                self.ran.append(found.jobs[0][0].id)
                self.commit(self.result(found))
            elif isinstance(found, Finish):
                self.commit(record_state(PATHS, found.last, found.results))

    def result(self, found: Continue) -> WriteSet:
        """The transaction after one job."""
        job = found.jobs[0][0]
        if job.handler is HEAT:
            outputs = {**found.results, "heat_outputs": []}
            return record_heat(PATHS, found.jobs, keys.encode_heat_stack(REF, "t", "X", "", []), outputs)
        if job.action is CREATE:
            watched = [Target("port", "physical_port")]
            results = {**found.results, "state_monitoring": {"port": "ACTIVE"}}
            return record_monitoring(PATHS, found.jobs, results, watched)
        return record_monitoring(PATHS, found.jobs, found.results, None)

    def end(self) -> dict[str, bytes]:
        """All keys and values."""
        return {entry.key: entry.value for entry in self.page("/")}


#: A stop of monitoring leaves no trace of having been done (`result_of`): as the last job it would be done anew
#: by this controller for ever, where the actor goes straight on to T4.
TRACELESS = ((GONE, MONITORING),)
FINISHING = [steps for steps in SEQUENCES if steps != TRACELESS]


def undisturbed(steps: Steps) -> Controller:
    """A run from the declaration to the end."""
    controller = Controller(steps)
    controller.declare()
    controller.work()
    return controller


@pytest.mark.parametrize("steps", FINISHING, ids=lambda steps: "-".join(f"{a}:{h}" for a, h in steps))
def test_an_undisturbed_run(steps: Steps) -> None:
    """Each job runs once, in order; T1 to T4 and no more; only the outcome's keys remain."""
    run = undisturbed(steps)
    assert run.ran == [job.id for job in workflow(steps).jobs]
    assert run.etcd.revision == 1 + 1 + 1 + len(steps) + 1  # empty, declaration, T1, one per job, T4
    assert not run.page(keys.JOBS)
    assert not run.page(keys.JOB_STATE)
    assert run.page(keys.STATE)


@given(st.sampled_from(FINISHING), st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=4))
def test_whatever_prefix_is_recorded_the_end_is_the_same(steps: Steps, cuts: list[tuple[int, bool]]) -> None:
    """Cut off any number of times, before or after any transaction: same keys, order kept, no job lost."""
    controller = Controller(steps)
    controller.declare()
    for cut, after in cuts:
        controller.cut, controller.after = cut, after
        with suppress(Cut):  # or it is over before
            controller.work()
    controller.cut = None
    controller.work()
    expected = undisturbed(steps)
    assert controller.end() == expected.end()
    assert list(dict.fromkeys(controller.ran)) == expected.ran, "a job may run again, never out of order"
    assert controller.etcd.revision == expected.etcd.revision, "what was recorded is not recorded again"


# ------------------------------------------------------------------------------------------ single decisions

DECLARED = Declared(REF, 2, {"id": "p"}, revision=9)


def recorded(*jobs: Job, **members: object) -> Records:
    """Records with these jobs; declared at version 2 and nothing else, unless told."""
    base = Records(DECLARED, None, None, tuple((job, 5) for job in jobs), None, False)
    return replace(base, **members)  # type: ignore[arg-type]  # members of Records by name


def done(version: int, worker_state: str = "CREATE_COMPLETED") -> Outcome:
    """A `/state` at that version."""
    return Outcome(version, "", worker_state, 1)


TWO = workflow(SEQUENCES[0], 2).jobs
OLD = workflow(SEQUENCES[0], 1).jobs


def test_a_settled_version_is_left_alone() -> None:
    """Final at the declared version or a later one: nothing. At an earlier one: to be planned."""
    assert resume(recorded(outcome=done(2))) == Nothing()
    assert resume(recorded(outcome=done(3))) == Nothing()
    assert resume(recorded(outcome=done(1))) == Fresh(DECLARED)
    assert resume(recorded()) == Fresh(DECLARED)


def test_a_newer_declaration_replaces_a_workflow_that_has_not_started() -> None:
    """Contract 10.5: the old jobs are handed over as stale, in order."""
    found = resume(recorded(*reversed(OLD), results={}))
    assert found == Fresh(DECLARED, tuple((job, 5) for job in OLD))


def test_a_newer_declaration_follows_a_workflow_that_has_started() -> None:
    """Once there is a result, or the first job is gone, the old version is finished first."""
    assert isinstance(resume(recorded(*OLD, results={"heat_outputs": []})), Continue)
    found = resume(recorded(OLD[1], results={}))
    assert isinstance(found, Continue)
    assert found.jobs == ((OLD[1], 5),)


def test_an_update_that_has_only_stopped_watching_is_replaced() -> None:
    """Contract 10.5, "a delete mark supersedes any pending modify": its stack is as it was. A deletion that has
    begun, and an update whose stack is written, are finished."""
    stop = (Action.DELETE, Handler.MONITORING)
    update = workflow((stop, (Action.MODIFY, Handler.HEAT), (Action.CREATE, Handler.MONITORING))).jobs
    assert resume(recorded(*update[1:], results={})) == Fresh(DECLARED, tuple((job, 5) for job in update[1:]))
    assert isinstance(resume(recorded(*update[1:], results={"heat_outputs": []})), Continue)
    assert isinstance(resume(recorded(update[2], results={})), Continue)
    deletion = workflow(
        ((Action.LOGICAL_DELETE, Handler.MONITORING), (Action.LOGICAL_DELETE, Handler.HEAT))
    ).jobs
    assert isinstance(resume(recorded(deletion[1], results={})), Continue)


def test_the_last_job_is_run_or_only_its_outcome_written() -> None:
    """Whether job_state holds its result decides."""
    outputs: dict[str, object] = {"heat_outputs": []}
    assert resume(recorded(TWO[1], results=outputs)) == Continue(((TWO[1], 5),), outputs)
    both = {**outputs, "state_monitoring": {}}
    assert resume(recorded(TWO[1], results=both)) == Finish((TWO[1], 5), both)


def test_jobs_of_the_newest_version_count() -> None:
    """Jobs of two versions at once (never written by us): the newer workflow goes on."""
    found = resume(recorded(*OLD, *TWO, results={}))
    assert isinstance(found, Continue)
    assert [job.version for job, _ in found.jobs] == [2, 2]


def test_order_of_jobs() -> None:
    """By what they depend on, not by id or by position."""
    three = workflow(SEQUENCES[3]).jobs
    for shuffled in (three, three[::-1], (three[1], three[2], three[0])):
        assert tuple(job for job, _ in in_order([(job, 1) for job in shuffled])) == three
    assert tuple(job for job, _ in in_order([(three[2], 1), (three[1], 1)])) == three[1:]


ACCEPTED = Declared(REF, 1, {"id": "p"}, revision=4)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"outcome": done(2, "DELETE_COMPLETED"), "exists": True}, Forget()),
        ({"outcome": done(1), "exists": False}, Forget()),
        ({"accepted": None}, Forget()),
        ({"accepted": replace(ACCEPTED, marked_for_deletion=True), "exists": False}, Forget()),
        ({"exists": False}, Fresh(replace(ACCEPTED, marked_for_deletion=True, revision=0))),
        (
            {"accepted": replace(ACCEPTED, version=2), "outcome": done(1), "exists": False},
            Fresh(replace(ACCEPTED, version=2, marked_for_deletion=True, revision=0)),
        ),
        ({"accepted": None, "outcome": done(1), "exists": True}, Nothing()),
        ({"outcome": done(2, "DELETE_FAILED"), "exists": True}, Nothing()),
        (
            {"outcome": done(2, "DELETE_FAILED"), "exists": True, "requested": True},
            Fresh(replace(ACCEPTED, marked_for_deletion=True, revision=0)),
        ),
        ({"accepted": None, "outcome": done(1), "exists": True, "requested": True}, Nothing()),
        ({"outcome": Outcome(2, "StackFailed", "DELETE_FAILED", 1), "exists": False}, Nothing()),
        (
            {"outcome": Outcome(1, "StackFailed", "CREATE_FAILED", 1), "exists": False},
            Fresh(replace(ACCEPTED, marked_for_deletion=True, revision=0)),
        ),
        (
            {"outcome": Outcome(1, "no plan", "CREATE_FAILED", 1), "accepted": None, "exists": False},
            Forget(),
        ),
        (
            {"outcome": done(1), "exists": True},
            Fresh(replace(ACCEPTED, marked_for_deletion=True, revision=0)),
        ),
    ],
)
def test_a_declaration_that_vanished(members: dict[str, object], expected: object) -> None:
    """Contract 10.24: delete what exists, forget what does not, leave a failed delete to people."""
    assert resume(recorded(**{"declared": None, "accepted": ACCEPTED, **members})) == expected


def test_guards_of_a_plan_refuse_a_second_planner() -> None:
    """Two planners of one version: the second T1 meets a guard that does not hold and writes nothing."""
    controller = Controller(SEQUENCES[0])
    controller.declare()
    found = resume(controller.records())
    assert isinstance(found, Fresh)
    first = record_plan(PATHS, found.declared, workflow(SEQUENCES[0]), (), {})
    assert Guard(PATHS.job_state, 0) in first.guards
    assert controller.etcd.commit([first]).accepted == (True,)
    assert controller.etcd.commit([first]).accepted == (False,)


def test_what_is_declared_again_after_its_deletion_begins_a_new_life() -> None:
    """An unmarked declaration is built although `/state` says DELETE_COMPLETED, at whatever version."""
    deleted = Outcome(4, "", "DELETE_COMPLETED", 9)
    again = Declared(REF, 1, {"id": "p"}, False, 10)
    assert resume(Records(again, None, deleted, (), None, False)) == Fresh(again)
    marked = replace(again, version=4, marked_for_deletion=True)
    assert resume(Records(marked, None, deleted, (), None, False)) == Nothing()
