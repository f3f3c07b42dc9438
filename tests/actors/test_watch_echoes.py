"""What the mirror shows late of what was watched: it is of the past, and ends no watch of the present."""

from __future__ import annotations

from actors.board import MonitorBoard
from actors.core import keys
from actors.core.monitors import encode_targets
from actors.messages import Register, Unregister
from actors.shard import Shard
from tests.actors.rig import TYPES
from tests.actors.trial import SWITCH, Trial


def board(trial: Trial) -> MonitorBoard:
    """The monitoring side of the shard."""
    return trial.host.actor(trial.member("shard"), Shard)._board


def test_what_etcd_held_before_does_not_end_a_watch() -> None:
    """A port is built once more at the same version: the mirror shows late that it was watched, and then that it was
    not, which is all of the time before the job that watches it now. What comes after that counts."""
    with Trial() as trial:
        trial.declare_example([SWITCH])
        trial.settle()
        shard, key = trial.member("shard"), keys.TARGETS + TYPES.path(SWITCH)
        world = trial.host.actor(shard, Shard)._desk.world  # type: ignore[union-attr]
        version, targets = world.targets(SWITCH) or (0, ())
        none, all_of_them = encode_targets(version, ()), encode_targets(version, targets)
        trial.host.tell(shard, Unregister(SWITCH))
        trial.host.tell(shard, Register(SWITCH, version, targets, since=world.revision + 2))
        for value in (all_of_them, none):
            trial.declare([(key, value)])
            trial.host.advance(1.0)
        assert board(trial).statuses(SWITCH) == {"switch": "UP"}
        for value in (all_of_them, none):
            trial.declare([(key, value)])
            trial.host.advance(1.0)
        assert board(trial).statuses(SWITCH) == {}


def test_what_etcd_held_before_does_not_end_a_watch_that_its_echo_began() -> None:
    """An echo of the past had it watched again, before its job did; then the mirror catches up in one step, and shows
    that nothing was watched in between."""
    with Trial() as trial:
        trial.declare_example([SWITCH])
        trial.settle()
        shard, key = trial.member("shard"), keys.TARGETS + TYPES.path(SWITCH)
        world = trial.host.actor(shard, Shard)._desk.world  # type: ignore[union-attr]
        version, targets = world.targets(SWITCH) or (0, ())
        trial.host.tell(shard, Register(SWITCH, version, targets, since=world.revision + 2))
        trial.host.advance(1.0)
        world.put(key, encode_targets(version, ()), world.revision + 1)
        world.revision += 3
        board(trial).changed(SWITCH)
        assert board(trial).statuses(SWITCH) == {"switch": "UP"}
