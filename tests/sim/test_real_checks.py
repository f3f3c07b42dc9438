"""The checker of the second tier has teeth: a history with one thing wrong in it is refused, by the right promise."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actors.core import keys
from actors.core.json_text import compact, text
from actors.core.keys import encode_declared
from actors.core.model import Json, Ref
from actors.core.ownership import shard_key, vshard
from actors.ports import Delete, Put
from sim.api_server import TYPES
from sim.etcd_http import Change
from sim.heat.engine import Engine, Request, Settings
from sim.heat_server.journal import Journal
from sim.invariants import Crashed, Violation
from sim.real import evidence, heat_history
from sim.real.checks import Logs, promises
from sim.real.gateway import Recorder, Revision
from sim.real.heat_history import HeatHistory
from sim.real.lives import Controller, Life
from sim.real.stage import Seen
from sim.real.wire import Asked, Compare, Txn, TxnReply
from sim.real.world import Faults, RealWorld

NET = Ref("net", "net1")
PATH = TYPES.path(NET)
CONFIG, STATE, STACK = keys.CONFIG + PATH, keys.STATE + PATH, keys.HEAT_STACKS + PATH
FENCE = shard_key(vshard(str(NET)))
TEMPLATE: dict[str, Json] = {
    "heat_template_version": "2013-05-23",
    "resources": {"it": {"type": "ESI::Test::Knob", "properties": {"v": ["x"]}}},
    "outputs": {"id": {"value": {"get_resource": "it"}}},
}


@dataclass
class Paper:
    """A history of etcd and Heat that is made up, and the world that is rebuilt from it."""

    world: RealWorld
    engine: Engine
    lives: list[Any]
    revision: int = 1
    fences: dict[str, int] = field(default_factory=dict)

    def change(self, *changes: tuple[str, bytes | None]) -> int:
        """A revision that nobody of ours was heard to ask for."""
        self.revision += 1
        made = tuple(Change(self.revision, key, value, self.revision) for key, value in changes)
        self.world.recorder.all.append(Revision(self.revision, made, time.time()))
        return self.revision

    def owned(self, life: int) -> None:
        """A controller takes the resource's virtual shard."""
        name = f"{os.uname().nodename}:{self.lives[life].process.pid}:1"
        self.fences[FENCE] = self.change((FENCE, name.encode()))

    def write(
        self, *changes: tuple[str, Any], life: int = 0, fence: int | None = None, answered: bool = True
    ) -> None:
        """A controller writes, fenced by the present fence (0: unfenced)."""
        ops = [Put(key, compact(value)) if value is not None else Delete(key) for key, value in changes]
        guard = self.fences.get(FENCE, 0) if fence is None else fence
        inner = Txn((Compare(FENCE, guard),) if guard else (), tuple(ops), ())
        asked = Asked(Txn((), (inner,), ()), time.time())
        number = self.change(*((key, None if value is None else compact(value)) for key, value in changes))
        if answered:
            asked.answer = TxnReply(number, True, (TxnReply(0, True, ()),))
        self.lives[life].line.asked.append(asked)

    def declared(self, version: int = 1) -> None:
        """The API server declares the resource, and the product accepts it."""
        body: dict[str, Json] = {"id": NET.id, "note": "n"}
        self.change((CONFIG, encode_declared(body, version)))
        self.write((keys.ACCEPTED + PATH, {"body": body, "version": version, "deleted": False}))

    def built(self, version: int = 1) -> str:
        """Heat builds its stack; the id that comes out."""
        request = Request(TEMPLATE, {}, tags=("gatewright", f"v{version}"))
        record = self.engine.create("t0", keys.stack_name(NET), request)
        time.sleep(0.02)
        self.engine.settle()
        return record.resources["it"].physical_id

    def state(
        self, version: int = 1, *, given: str = "", outcome: str = "CREATE_COMPLETED"
    ) -> dict[str, Any]:
        """A value for /state."""
        outputs = text([{"output_key": "id", "output_value": given}]) if given else "[]"
        state = {"worker_state": outcome, "heat_outputs": outputs}
        return {"state": state, "version": version, "error": ""}

    def checked(self) -> dict[str, int]:
        """Look at everything; how often each promise was checked. Raises Violation."""
        invariants = promises(self.world)
        while (found := self.world.next()) is not None:
            for invariant in invariants:
                invariant.revised(*found)
        assert not self.world.behind
        return {type(one).__name__: one.checks for one in invariants}


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    """Two controllers, of which the first owns the resource."""
    heat_history.prepare(tmp_path)
    journal = Journal(tmp_path)
    ids = iter(range(10**6))
    engine = Engine(time.time, lambda: f"id{next(ids)}", Settings(resource_s=0.0), journal.save)
    lives = [
        Life(
            f"c{n}.1", cast(Any, SimpleNamespace(asked=[])), cast(Any, SimpleNamespace(pid=100 + n)), tmp_path
        )
        for n in range(2)
    ]
    controllers = [cast(Controller, SimpleNamespace(lives=[life])) for life in lives]
    recorder = cast(Recorder, SimpleNamespace(all=[]))
    history = HeatHistory(tmp_path)
    devices: list[Seen] = []
    world = RealWorld(controllers, recorder, history, devices, Faults(Counter()))
    world.api = cast(Any, SimpleNamespace(reborn=set(), operator=SimpleNamespace(asked=set())))
    made = Paper(world, engine, lives)
    made.owned(0)
    yield made
    history.close()
    journal.close()


def test_a_good_history_passes(paper: Paper) -> None:
    """Declared, built, recorded, seen, deleted by the API server: nothing is wrong, and each promise was looked at."""
    paper.declared()
    given = paper.built()
    paper.write((STATE, paper.state(given=given)))
    paper.change((CONFIG, None), (STATE, None))
    checks = paper.checked()
    for promise in (
        "Accounted",
        "SingleWriter",
        "Fencing",
        "VersionOrder",
        "OneOutcome",
        "NoLies",
        "FewWrites",
    ):
        assert checks[promise], promise
    assert paper.world.by_the_wire["answered"] == 2


def test_a_lost_answer_still_names_the_writer(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that was sent and never answered explains the revision that has just its effect."""
    monkeypatch.setattr("sim.real.world.ANSWER_S", 0.0)
    paper.declared()
    paper.write((STACK, {"stack_id": "x"}), answered=False)
    paper.checked()
    assert paper.world.by_the_wire == {"answered": 1, "answer lost": 1}


def wrong_writer(paper: Paper) -> None:
    """The other controller, with the fence of the owner."""
    paper.write((STACK, {}), life=1)


def unfenced(paper: Paper) -> None:
    """The owner, without its fence."""
    paper.write((STACK, {}), fence=0)


def old_fence(paper: Paper) -> None:
    """The owner of before, with the fence that it had."""
    former = paper.fences[FENCE]
    paper.owned(1)
    paper.write((STACK, {}), fence=former)


def nobody(paper: Paper) -> None:
    """A value that no controller sent."""
    paper.change((STACK, b"{}"))


def nobody_deletes(paper: Paper) -> None:
    """A deletion that no controller sent, and that is not the API server's."""
    paper.write((STACK, {}))
    paper.change((STACK, None))


def backwards(paper: Paper) -> None:
    """Version 2, then version 1."""
    paper.declared(2)
    paper.write((STATE, {**paper.state(2), "error": "x"}))
    paper.write((STATE, {**paper.state(1), "error": "x"}))


def ahead(paper: Paper) -> None:
    """A version that was not declared."""
    paper.write((STATE, {**paper.state(3), "error": "x"}))


def test_what_vanished_may_end_at_its_last_version(paper: Paper) -> None:
    """A declaration that is deleted without a mark: the deletion bears the version that was there."""
    paper.declared()
    paper.write((STATE, {**paper.state(1), "error": "x"}))
    paper.change((CONFIG, None))
    paper.write((STATE, paper.state(outcome="DELETE_COMPLETED")))
    assert paper.checked()["OneOutcome"] == 2


def twice(paper: Paper) -> None:
    """The same outcome again."""
    for _ in range(2):
        paper.write((STATE, {**paper.state(1), "error": "x"}))


def monitoring_first(paper: Paper) -> None:
    """Seen before it is said to be built."""
    paper.write((keys.MONITORING + PATH, {"version": 1}))


def no_stack(paper: Paper) -> None:
    """COMPLETED, and Heat knows of nothing."""
    paper.write((STATE, paper.state(given="id7")))


def other_version(paper: Paper) -> None:
    """COMPLETED at version 1 with what Heat gave for version 2."""
    paper.write((STATE, paper.state(given=paper.built(2))))


def not_yet_built(paper: Paper) -> None:
    """COMPLETED a moment before Heat has built it."""
    paper.write((STATE, paper.state(given="id1")))
    time.sleep(0.02)
    paper.built()


def not_deleted(paper: Paper) -> None:
    """DELETE_COMPLETED, and its stack is there."""
    paper.built()
    paper.write((STATE, paper.state(outcome="DELETE_COMPLETED")))


def twins(paper: Paper) -> None:
    """Two stacks of one name, in two tenants."""
    paper.built()
    paper.engine.create("t1", keys.stack_name(NET), Request(TEMPLATE, {}))
    paper.write((STACK, {}))


def writes_much(paper: Paper) -> None:
    """Six revisions for one version, and no fault was injected."""
    for number in range(6):
        paper.write((STACK, {"n": number}))


@pytest.mark.parametrize(
    ("wrong", "promise"),
    [
        (wrong_writer, "SingleWriter"),
        (unfenced, "SingleWriter"),
        (old_fence, "SingleWriter"),
        (nobody, "Accounted"),
        (nobody_deletes, "Accounted"),
        (backwards, "VersionOrder"),
        (ahead, "VersionOrder"),
        (twice, "OneOutcome"),
        (monitoring_first, "StateBeforeMonitoring"),
        (no_stack, "NoLies"),
        (other_version, "NoLies"),
        (not_yet_built, "NoLies"),
        (not_deleted, "NoLies"),
        (twins, "OneLivingStack"),
        (writes_much, "FewWrites"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_what_is_wrong_is_found(
    paper: Paper, wrong: Any, promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wrong thing in a good history breaks the promise that it is about, and its story tells who wrote what."""
    monkeypatch.setattr("sim.real.world.ANSWER_S", 0.0)
    paper.declared()
    wrong(paper)
    with pytest.raises(Violation) as caught:
        paper.checked()
    assert (caught.value.promise, caught.value.ref) == (promise, NET)
    told = "\n".join(evidence.story(paper.world, NET, [(time.time(), "kill bridge: of c0.1")]))
    assert "by c0.1: /esi-worker/config/" in told
    assert "! kill bridge" in told


def test_a_fence_of_another_resource_is_none(paper: Paper) -> None:
    """Who guards by the key of another virtual shard, though its own, has not fenced the write."""
    paper.declared()
    other = next(f"/gatewright/shards/{n}" for n in range(256) if f"/gatewright/shards/{n}" != FENCE)
    name = f"{os.uname().nodename}:100:1"
    held = paper.change((other, name.encode()))
    inner = Txn((Compare(other, held),), (Put(STACK, b"{}"),), ())
    number = paper.change((STACK, b"{}"))
    answer = TxnReply(number, True, (TxnReply(0, True, ()),))
    paper.lives[0].line.asked.append(Asked(Txn((), (inner,), ()), time.time(), answer))
    with pytest.raises(Violation, match="SingleWriter"):
        paper.checked()


def test_leftovers_are_found(paper: Paper) -> None:
    """After everything was deleted a key of ours, or a stack, is an orphan."""
    paper.declared()
    paper.checked()
    left = promises(paper.world)[-1]
    with pytest.raises(Violation, match="is left over"):
        left.emptied()
    paper.write((keys.ACCEPTED + PATH, None))
    paper.checked()
    left.emptied()
    paper.built()
    paper.world.outside(time.time())
    with pytest.raises(Violation, match="net_net1 is left over"):
        left.emptied()


def test_a_traceback_in_a_log_is_a_crash(tmp_path: Path) -> None:
    """What is logged with a traceback ends the run, once the line is whole; ordinary lines do not."""
    log, logs = tmp_path / "c0.1.log", Logs()
    log.write_text('{"level": "WARNING", "message": "etcd is away"}\n{"message": "boom", "trace')
    logs.look([log])
    with log.open("a") as file:
        file.write('back": "Traceback (most recent call last):\\n  File\\nValueError: x"}\n')
    with pytest.raises(Crashed, match=r"boom.*ValueError: x"):
        logs.look([log])
