"""What the mirror shows late of what was watched: it is of the past, and ends no watch of the present."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.core import keys
from actors.core.monitors import encode_targets
from actors.core.world import World
from actors.messages import Register, Unregister
from actors.shard import Shard
from tests.actors.rig import TYPES
from tests.actors.trial import SWITCH, Trial


@pytest.fixture
def trial() -> Iterator[Trial]:
    """A controller that watches a switch."""
    with Trial() as made:
        made.declare_example([SWITCH])
        made.settle()
        yield made


def shard_of(trial: Trial) -> Shard:
    """The only one."""
    return trial.host.actor(trial.member("shard"), Shard)


def mirror(trial: Trial) -> World:
    """What it knows of etcd."""
    desk = shard_of(trial)._desk
    assert desk is not None, "it has begun"
    return desk.world


def watched_once_more(trial: Trial) -> tuple[bytes, bytes]:
    """A job watches the switch at the same version, and knows of two revisions that the mirror does not show yet;
    returns the targets' record when it is watched, and when it is not."""
    version, targets = mirror(trial).targets(SWITCH) or (0, ())
    since = mirror(trial).revision + 2
    trial.host.tell(trial.member("shard"), Register(SWITCH, version, targets, since=since))
    return encode_targets(version, targets), encode_targets(version, ())


def statuses(trial: Trial) -> dict[str, str]:
    """What is known of the switch."""
    return dict(shard_of(trial)._board.statuses(SWITCH))


def test_what_etcd_held_before_does_not_end_a_watch(trial: Trial) -> None:
    """A port is built once more at the same version: the mirror shows late that it was watched, and then that it was
    not, which is all of the time before the job that watches it now. What comes after that counts."""
    trial.host.tell(trial.member("shard"), Unregister(SWITCH))
    records = watched_once_more(trial)
    for after in ({"switch": "UP"}, {}):
        for record in records:
            trial.declare([(keys.TARGETS + TYPES.path(SWITCH), record)])
            trial.host.advance(1.0)
        assert statuses(trial) == after


def test_what_etcd_held_before_does_not_end_a_watch_that_its_echo_began(trial: Trial) -> None:
    """An echo of the past had it watched again, before its job did; then the mirror catches up in one step, and shows
    that nothing was watched in between."""
    _, unwatched = watched_once_more(trial)
    trial.host.advance(1.0)
    world = mirror(trial)
    world.put(keys.TARGETS + TYPES.path(SWITCH), unwatched, world.revision + 1)
    world.revision += 3
    shard_of(trial)._board.changed(SWITCH)
    assert statuses(trial) == {"switch": "UP"}
