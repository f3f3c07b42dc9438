"""The times that are measured of resources begin when they are declared, whoever owns them then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actors import metered
from actors.core import keys
from actors.core.exposition import Histogram
from actors.core.options import Options
from actors.messages import Address, MetricsQuery, Owned
from actors.supervisor import Supervisor
from config.monitor_types import load_monitor_types
from tests.actors.rig import TYPES
from tests.actors.trial import SWITCH, Trial


@pytest.fixture
def trial() -> Iterator[Trial]:
    """A controller that counts, over an empty etcd."""
    with Trial(Options(tuple(TYPES), monitor_types=load_monitor_types(), traces=True)) as made:
        made.host.advance(1.0)
        yield made


def shard_of(trial: Trial) -> metered.Shard:
    """The only one."""
    supervisor = trial.host.actor(trial.root, Supervisor)
    (address,) = (one.address for one in supervisor._members if one.role == "shard")
    return trial.host.actor(address, metered.Shard)


@contextmanager
def nobodys(trial: Trial) -> Iterator[metered.Shard]:
    """Nothing is ours, whatever the bridge says; afterwards all is."""
    shard = shard_of(trial)
    told, receive = shard._told, shard.receive

    def deaf(message: object, sender: Address) -> None:
        if not isinstance(message, Owned):
            receive(message, sender)

    receive(Owned({}), shard.me)
    shard.receive = deaf  # type: ignore[method-assign]
    yield shard
    del shard.receive
    shard.receive(told, shard.me)


def counted(shard: metered.Shard) -> int:
    """How many times to the beginning of work were measured."""
    samples = shard.meter.reply(MetricsQuery("q")).samples
    (times,) = (s.value for s in samples if s.name == "first_time_to_reconcile_seconds")
    assert isinstance(times, Histogram)
    return sum(times.counts)


def test_what_is_declared_before_it_has_an_owner_is_measured(trial: Trial) -> None:
    """The time in which nobody owned it is part of what a person waits for."""
    with nobodys(trial) as shard:
        trial.declare_example([SWITCH])
        trial.host.advance(5.0)
        assert counted(shard) == 0
    trial.settle()
    assert counted(shard) == 1


def test_what_another_owner_has_done_is_not_measured(trial: Trial) -> None:
    """The outcome is there when it becomes ours: that it is looked at then is no beginning."""
    with nobodys(trial) as shard:
        trial.declare_example([SWITCH])
        trial.host.advance(1.0)
        state = keys.encode_state({"worker_state": "CREATE_COMPLETED"}, 1, "")
        trial.put(keys.STATE + TYPES.path(SWITCH), state)
        trial.host.advance(1.0)
    trial.host.advance(5.0)
    assert counted(shard) == 0
    assert shard._declared == {}
