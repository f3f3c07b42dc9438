"""Several controllers on one real etcd and Heat: who owns what, and what happens when one is gone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from actors.core import keys
from actors.core.ownership import CONTROLLERS, SHARDS, VSHARDS
from actors.ports import Delete, Put, WriteSet
from tests.contract.etcd_worlds import until
from tests.controllers.cast import OURS, Controller, History
from tests.controllers.conftest import Stage

#: What takes well below a second, as the bench shows, may take this long on a machine that is busy otherwise.
PATIENCE_S = 10.0


def taken_over_s(history: History, began_s: float, controllers: list[Controller]) -> float:
    """Seconds from `began_s` until the last virtual shard was taken by one of these."""
    names = {one.name for one in controllers}
    return max(
        change.seen_s - began_s
        for change in history.changes()
        if change.key.startswith(SHARDS) and change.value is not None and change.value.decode() in names
    )


def test_alone_it_owns_everything_at_once(stage: Callable[..., Stage]) -> None:
    """From its first key in etcd to all 256 virtual shards a lonely controller needs three transactions."""
    play = stage()
    only = play.start()
    play.balanced(only)
    first = next(c.seen_s for c in play.history.changes() if c.key.startswith(CONTROLLERS))
    assert taken_over_s(play.history, first, [only]) < PATIENCE_S
    writes = [c for c in play.history.changes() if c.key.startswith(SHARDS)]
    assert (len(writes), len({c.revision for c in writes})) == (VSHARDS, 3)


def test_three_share_the_work_and_the_rest_finishes_it(stage: Callable[..., Stage]) -> None:
    """Each gets about a third; one is killed in the midst: the others take over in time and finish everything, with
    one stack each and one writer at a time."""
    play = stage(seconds=1.0)
    first, second, third = play.start(), play.start(), play.start()
    play.balanced(first, second, third)
    assert all(50 < count < 120 for count in play.history.holders().values())
    play.declare(120)
    until(lambda: play.history.open_jobs() > 60)
    killed = time.monotonic()
    second.kill()
    play.balanced(first, third)
    assert taken_over_s(play.history, killed, [first, third]) < 15.0
    play.finished()


def test_a_clean_stop_hands_over_at_once(stage: Callable[..., Stage]) -> None:
    """What a stopping controller owned is owned by the other long before a lease ends, and its work goes on there."""
    play = stage(seconds=1.0)
    first, second = play.start(owner_ttl_s=60.0), play.start(owner_ttl_s=60.0)
    play.balanced(first, second)
    play.declare(60)
    until(lambda: play.history.open_jobs() > 30)
    second.terminate()
    until(lambda: second.name not in play.history.members())
    gone = next(
        c.seen_s for c in play.history.changes() if c.key == CONTROLLERS + second.name and c.value is None
    )
    play.balanced(first)
    assert taken_over_s(play.history, gone, [first]) < PATIENCE_S
    play.finished()


def test_a_paused_controller_that_wakes_writes_nothing(stage: Callable[..., Stage]) -> None:
    """It stood still beyond its lease with work in flight; the other finished it. Awake again it writes no value of
    any resource, becomes a member anew and gets its share back."""
    play = stage(seconds=1.0)
    first, second = play.start(), play.start()
    play.balanced(first, second)
    play.declare(80)
    until(lambda: play.history.open_jobs() > 60)
    second.freeze()
    play.balanced(first)
    play.finished()
    quiet = len(play.history.changes())
    second.thaw()
    play.balanced(first, second)
    time.sleep(2.0)
    assert [c for c in play.history.changes()[quiet:] if c.key.startswith(OURS)] == []
    play.finished()


def test_a_new_controller_gets_its_share_of_work_in_flight(stage: Callable[..., Stage]) -> None:
    """Joining in the midst moves about half, each virtual shard is without an owner for a moment only, and nothing
    is done twice: every write that the first had begun was done before it gave its shard away."""
    play = stage(seconds=3.0)
    first = play.start()
    play.balanced(first)
    pause = keys.PAUSE + "type/subnet"  # so that there is work left, however long the second takes to start
    play.store.commit([WriteSet((Put(pause, b"{}"),))])
    play.declare(80)
    until(lambda: play.history.open_jobs() > 30)
    second = play.start()
    play.balanced(first, second)
    assert 90 < play.history.holders()[second.name] < 166
    assert len(play.history.gaps_s()) == play.history.holders()[second.name]
    assert max(play.history.gaps_s()) < PATIENCE_S
    play.store.commit([WriteSet((Delete(pause),))])
    play.finished()
    refused = [note for note in first.noted() if note.get("refused")]
    assert refused == []
    written = {key for note in second.noted() for key in note.get("did", ())}
    assert any(key.startswith("/state/") for key in written)


def test_keys_deleted_by_hand_are_taken_again(stage: Callable[..., Stage]) -> None:
    """Ownership is level-triggered: whoever deletes its keys in etcd stops nothing for long."""
    play = stage()
    only = play.start()
    play.balanced(only)
    deleted = [Delete(f"{SHARDS}{number}") for number in range(0, VSHARDS, 3)]
    play.store.commit([WriteSet((*deleted, Delete(CONTROLLERS + only.name)))])
    until(lambda: not play.history.balanced([only]))
    play.balanced(only)
    play.declare(20)
    play.finished()
    assert json.loads(play.store.read(["/state/" + _path(play)])[1]["/state/" + _path(play)].value)


def _path(play: Stage) -> str:
    from tests.controllers.cast import TYPES

    return TYPES.path(play.refs[0])
