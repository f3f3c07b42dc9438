"""Delivery is at most once, late, or twice: requesters ask again, answers to old questions mean nothing.

Between the processes of one controller frames are lost only with a process, but nothing may rest on that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.board import MonitorBoard
from actors.core import keys
from actors.core.model import Ref
from actors.core.monitors import Target
from actors.device import DeviceActor
from actors.messages import (
    Boot,
    Commit,
    Committed,
    HeatDone,
    HeatFailed,
    HeatProgress,
    HeatRequest,
    Mirror,
    MonitorsRendered,
    Read,
    ReadDone,
    Refused,
    Register,
    RenderMonitors,
    Report,
    Settled,
    Snapshot,
    SnmpAnswer,
    SnmpPoll,
    Topology,
    Unregister,
)
from actors.runtime import inline
from actors.shard import Shard
from tests.actors.rig import TYPES
from tests.actors.trial import CHAIN, NETWORK, PHYSICAL_PORT, ROUTER, SWITCH, Trial, lost
from tests.actors.trouble import error_of, nothing_in_flight

#: Requests and answers between processes: each may be lost.
ASKED = (Read, Commit, HeatRequest, RenderMonitors, SnmpPoll)
ANSWERED = (ReadDone, Committed, HeatDone, MonitorsRendered, SnmpAnswer)
SPOKEN = (*ASKED, *ANSWERED, Refused, HeatFailed, HeatProgress)


def finish(trial: Trial) -> tuple[dict[str, Any], list[str]]:
    """Build the chain of the seed whatever is in the way; the keys and stacks in the end."""
    trial.declare_example()
    trial.settle(limit_s=300.0)
    trial.network.meddle = lambda message: (0.0,)
    trial.host.advance(45.0)
    assert nothing_in_flight(trial)
    return trial.end(), trial.living()


@cache
def undisturbed() -> tuple[dict[str, Any], list[str]]:
    """The end of a run on a good network."""
    with Trial() as trial:
        return finish(trial)


@cache
def spoken() -> Counter[str]:
    """How many messages of each class a good run needs."""
    counts: Counter[str] = Counter()

    def count(message: object) -> Iterable[float]:
        counts[type(message).__name__] += 1
        return (0.0,)

    with Trial() as trial:
        trial.network.meddle = count
        trial.declare_example()
        trial.settle()
    return counts


def meddle(trial: Trial, planned: dict[tuple[str, int], tuple[float, ...]]) -> None:
    """(class, number) → the delays with which it arrives; none: it is lost."""
    counts: Counter[str] = Counter()

    def route(message: object) -> Iterable[float]:
        name = type(message).__name__
        counts[name] += 1
        return planned.get((name, counts[name] - 1), (0.0,))

    trial.network.meddle = route


@pytest.mark.parametrize("cls", [*ASKED, *ANSWERED], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    "arrives", [(), (0.0, 0.0), (0.0, 15.0), (12.0,)], ids=["lost", "twice", "again", "late"]
)
def test_every_message_may_be_lost_repeated_or_late(cls: type, arrives: tuple[float, ...]) -> None:
    """For the first, middle and last of each kind: the same keys and stacks in the end."""
    total = spoken()[cls.__name__]
    assert total > 0
    for number in sorted({0, total // 2, total - 1}):
        with Trial() as trial:
            meddle(trial, {(cls.__name__, number): arrives})
            assert finish(trial) == undisturbed(), f"{cls.__name__} {number}"


def test_what_was_seen_is_not_written_once_the_watch_has_ended() -> None:
    """A write of `/monitoring` that arrives between the end of the watch and the outcome of the deletion is refused."""

    def late(message: object) -> Iterable[float]:
        if not isinstance(message, Commit):
            return (0.0,)
        if message.rid.startswith("monitoring:"):
            return (5.0,)
        outcome = any(write.key == keys.STATE + TYPES.path(ROUTER) for write in message.write_set.writes)
        return (10.0 if outcome and deleting else 0.0,)

    deleting = False
    with Trial() as trial:
        trial.network.meddle = late
        trial.declare_example([ROUTER])
        trial.settle()
        deleting = True
        trial.change(ROUTER, 2, marked=True)
        trial.host.advance(30.0)
        assert trial.state(ROUTER)["state"]["worker_state"] == "DELETE_COMPLETED"
        assert [value for _, value in trial.written(keys.MONITORING, ROUTER) if value is not None] == []


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.tuples(st.sampled_from([cls.__name__ for cls in SPOKEN]), st.integers(0, 40)),
        st.sampled_from([(), (0.0, 0.0), (0.5,), (12.0,), (0.0, 3.0)]),
        min_size=3,
        max_size=12,
    )
)
def test_a_bad_network(planned: dict[tuple[str, int], tuple[float, ...]]) -> None:
    """Many messages lost, repeated and late in one run: still the same."""
    with Trial() as trial:
        meddle(trial, planned)
        assert finish(trial) == undisturbed()


# ------------------------------------------------------------------------------------------------- etcd


@pytest.mark.parametrize("happened", [True, False], ids=["written", "not written"])
def test_a_lost_answer_of_etcd_is_settled_by_reading(happened: bool) -> None:
    """For each commit of the run: its answer is lost, whether or not it was written. Nothing is written twice."""
    number = 0
    while True:
        with Trial() as trial:
            left = [number]

            def fault(point: str, left: list[int] = left) -> None:
                if point == ("commit.done" if happened else "commit"):
                    left[0] -= 1
                    if left[0] == -1:
                        raise lost()

            trial.faults = fault
            assert finish(trial) == undisturbed(), f"commit {number}"
            if left[0] >= 0:
                return  # there was no such commit any more
            for ref in CHAIN:
                states = trial.written(keys.STATE, ref)
                assert len(states) == 1, f"commit {number}: {ref}"
        number += 1


def test_many_lost_answers_of_etcd() -> None:
    """A third of all answers of etcd is lost, all the time."""
    with Trial() as trial:
        count = [0]

        def fault(point: str) -> None:
            if point.startswith("commit") or point == "read":
                count[0] += 1
                if crc32(f"{count[0]}".encode()) % 3 == 0:
                    raise lost()

        trial.faults = fault
        trial.declare_example()
        trial.settle(limit_s=600.0)
        trial.host.advance(45.0)
        assert (trial.end(), trial.living()) == undisturbed()


# ------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("delay_s", [0.05, 0.4, 2.0])
def test_a_report_that_comes_after_the_news_it_waits_for(
    delay_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shard hears late whom a resource waits for, when that has ended already: nobody waits for ever."""
    receive = Shard.receive

    def late(self: Shard, message: object, sender: object) -> None:
        if isinstance(message, Report) and sender != self.me:
            self.after(delay_s, message)
        else:
            receive(self, message, sender)

    monkeypatch.setattr(Shard, "receive", late)
    with Trial() as trial:
        trial.declare_example()
        trial.settle(limit_s=10.0 + 10 * delay_s)
        trial.host.advance(45.0)
        assert (trial.end(), trial.living()) == undisturbed()


def test_a_former_actor_that_settles_late() -> None:
    """What an actor that was let go of still says does not end the work of its successor."""
    with Trial() as trial:
        trial.declare_example([SWITCH])
        trial.host.advance(0.1)
        former = trial.host.external("former actor")
        trial.host.tell(trial.member("shard"), Settled(SWITCH, 1), sender=former)
        trial.settle()
        assert error_of(trial, SWITCH) == ""


def test_what_is_declared_anew_while_its_actor_forgets_it_is_built() -> None:
    """The answer to the last write of a deletion is lost, that to the write that forgets is late: meanwhile the same
    resource is declared again, at a lower version."""
    with Trial() as trial:
        trial.declare_example([NETWORK])
        trial.settle()
        trial.network.meddle = lambda message: () if isinstance(message, Committed) and deleted() else (0.0,)

        def deleted() -> bool:
            return bool(trial.state(NETWORK)["state"]["worker_state"] == "DELETE_COMPLETED")

        trial.change(NETWORK, 2, marked=True)
        trial.host.advance(5.0)
        assert deleted()
        trial.network.meddle = lambda message: (2.0,) if isinstance(message, Committed) else (0.0,)
        trial.remove(NETWORK)
        while trial.leftovers(NETWORK):
            trial.host.advance(0.1)
        trial.declare_example([NETWORK])
        trial.settle()
        assert trial.state(NETWORK)["state"]["worker_state"] == "CREATE_COMPLETED"


def test_a_device_left_and_taken_in_the_same_moment() -> None:
    """The last resource of a device goes while another comes: the newcomer is watched."""
    with Trial() as trial:
        trial.declare_example([SWITCH])
        trial.settle()
        shard = trial.member("shard")
        _, targets = trial.host.actor(shard, Shard)._desk.world.targets(SWITCH) or (0, ())  # type: ignore[union-attr]
        trial.host.tell(shard, Unregister(SWITCH))
        trial.host.tell(shard, Register(PHYSICAL_PORT, 1, targets))
        trial.host.advance(10.0)
        assert board(trial).statuses(PHYSICAL_PORT) == {"switch": "UP"}


def test_a_target_that_was_dropped_is_not_polled_any_more() -> None:
    """A new version with fewer targets on the same device: what it dropped is forgotten by the device too."""
    with Trial() as trial:
        trial.declare_example([SWITCH])
        trial.settle()
        shard = trial.member("shard")
        found = trial.host.actor(shard, Shard)._desk.world.targets(SWITCH)  # type: ignore[union-attr]
        assert found is not None
        first = found[1][0]
        two: tuple[Target, ...] = (first, _renamed(first, "other"))
        trial.host.tell(shard, Register(SWITCH, 2, two))
        trial.host.advance(1.0)
        trial.host.tell(shard, Register(SWITCH, 3, two[1:]))
        trial.host.advance(1.0)
        watched: set[tuple[Ref, str]] = set()
        for actor in trial.inside(DeviceActor):
            watched |= actor._watched.keys()
        assert watched == {(SWITCH, "other")}


def _renamed(target: Target, name: str) -> Target:
    from dataclasses import replace

    return replace(target, name=name)


def board(trial: Trial) -> MonitorBoard:
    """The monitoring side of the shard."""
    return trial.host.actor(trial.member("shard"), Shard)._board


def test_a_poller_that_never_answers() -> None:
    """Answers of the pool are lost for a minute: the device is asked again, and nothing wrong is published."""
    with Trial() as trial:
        trial.network.meddle = lambda message: () if isinstance(message, SnmpAnswer) else (0.0,)
        trial.declare_example([SWITCH])
        trial.host.advance(60.0)
        trial.network.meddle = lambda message: (0.0,)
        trial.settle()
        trial.host.advance(1.0)
        assert error_of(trial, SWITCH) == ""
        assert [value for _, value in trial.written(keys.MONITORING, SWITCH)] == [
            {"switch": "UP", "version": 1}
        ]


@pytest.mark.parametrize(
    "cls",
    [Mirror, Snapshot, Boot, Topology],
    ids=lambda cls: cls.__name__,
)
def test_what_is_told_without_being_asked_may_be_lost(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Design 1.8, for the news that nobody asks for: a lost one heals too."""
    monkeypatch.setattr(inline, "MAX_EVENTS", 50_000)
    for number in range(8):
        with Trial() as trial:
            meddle(trial, {(cls.__name__, number): ()})
            assert finish(trial) == undisturbed(), f"{cls.__name__} {number}"
