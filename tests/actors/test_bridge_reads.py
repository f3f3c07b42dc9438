"""Reads of the EtcdBridge: each is answered for itself, many are asked together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pytest

from actors.bridge_reads import QUEUE_MAX, REQUESTS_MAX
from actors.core.errors import ErrorClass, PortError
from actors.core.options import Options
from actors.etcd_bridge import EtcdBridge
from actors.messages import Boot, Read, ReadDone, Refused, Wiring
from actors.ports import Entry, Put, WriteSet
from actors.runtime.inline import InlineAddress, InlineHost
from sim.fake_etcd import FakeEtcd
from sim.fake_stacks import FakeStacks
from sim.fake_store import FakeStore


class CountedStore(FakeStore):
    """Counts its reads; `broken` makes them fail."""

    asked: int = 0
    broken: bool = False

    def read(self, keys: Sequence[str]) -> tuple[int, Mapping[str, Entry]]:
        """As the original, but counted."""
        self.asked += 1
        if self.broken:
            raise PortError(ErrorClass.TRANSIENT, "Unavailable", "no etcd")
        return super().read(keys)


class Bridge:
    """One EtcdBridge in an InlineHost, and somebody who asks."""

    def __init__(self) -> None:
        self.host = InlineHost(pickling=False)
        self.store = CountedStore(FakeEtcd(_Clock()))
        self.address = self.host.spawn(EtcdBridge)
        self.me: InlineAddress = self.host.external("asker")
        self.host.run()

    def boot(self) -> None:
        """As the Supervisor does."""
        wiring = Wiring(lambda: self.store, partial(FakeStacks, lambda: 0.0), lambda: None)  # type: ignore[arg-type,return-value]
        self.host.tell(self.address, Boot(Options(types=(), shards=0), wiring, "test"))
        self.host.run()

    def ask(self, questions: Sequence[tuple[str, ...]]) -> list[object]:
        """All answers to these questions, asked at once."""
        for number, names in enumerate(questions):
            self.host.tell(self.address, Read(f"r{number}", names), sender=self.me)
        self.host.run()
        return [m for m in self.host.take(self.me) if isinstance(m, ReadDone | Refused)]


class _Clock:
    def now(self) -> float:
        """It stands still."""
        return 0.0


@pytest.fixture
def bridge() -> Bridge:
    """A bridge over a store with the keys /k/0 to /k/199, each with its own number as value."""
    made = Bridge()
    made.boot()
    for number in range(200):
        made.store.commit([WriteSet((Put(f"/k/{number}", str(number).encode()),))])
    return made


def test_each_question_gets_its_own_keys(bridge: Bridge) -> None:
    """However many are asked together, an answer holds the keys of its question and no others."""
    answers = bridge.ask([(f"/k/{n}", f"/k/{n + 1}", "/none") for n in range(150)])
    found = {m.rid: m for m in answers if isinstance(m, ReadDone)}
    assert len(found) == 150
    for n in range(150):
        values = {key: entry.value for key, entry in found[f"r{n}"].entries.items()}
        assert values == {f"/k/{n}": str(n).encode(), f"/k/{n + 1}": str(n + 1).encode()}


def test_many_questions_are_few_requests(bridge: Bridge) -> None:
    """150 questions of three keys take far less than 150 requests, and more than one."""
    bridge.ask([(f"/k/{n}", f"/k/{n + 1}", "/none") for n in range(150)])
    assert 150 * 3 / 100 <= bridge.store.asked <= 150 * 3 / 99 + REQUESTS_MAX + 1


def test_a_large_question_is_asked_as_it_is(bridge: Bridge) -> None:
    """A question of more keys than a request usually has is answered whole."""
    (answer,) = bridge.ask([tuple(f"/k/{n}" for n in range(200))])
    assert isinstance(answer, ReadDone)
    assert len(answer.entries) == 200


def test_a_failed_request_refuses_all_its_questions(bridge: Bridge) -> None:
    """Where etcd does not answer, everybody is told, and the next questions are asked again."""
    bridge.store.broken = True
    refused = bridge.ask([(f"/k/{n}",) for n in range(20)])
    assert len(refused) == 20
    assert all(isinstance(m, Refused) and m.failure is not None and m.failure.retryable for m in refused)
    bridge.store.broken = False
    assert isinstance(bridge.ask([("/k/1",)])[0], ReadDone)


def test_the_queue_is_bounded(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a question is refused as transient, the others are answered."""
    monkeypatch.setattr("actors.bridge_reads.QUEUE_MAX", 10)
    assert QUEUE_MAX > 1000
    answers = bridge.ask([(f"/k/{n}",) for n in range(40)])
    refused = [m for m in answers if isinstance(m, Refused)]
    assert len(answers) == 40
    assert refused
    assert all(m.failure is not None and m.failure.kind == "Busy" for m in refused)


def test_a_question_before_boot_is_refused_and_costs_nothing() -> None:
    """Boot has another sender and may be overtaken: whoever asks before it is told to try again, and then served."""
    bridge = Bridge()
    refused = bridge.ask([(f"/k/{n}",) for n in range(REQUESTS_MAX + 1)])
    assert len(refused) == REQUESTS_MAX + 1
    assert all(isinstance(m, Refused) and m.failure is not None and m.failure.retryable for m in refused)
    bridge.boot()
    assert isinstance(bridge.ask([("/k/1",)])[0], ReadDone)
