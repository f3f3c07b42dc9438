# ruff: noqa: D102 - actors of tests are described by their classes
"""The inline host: the same actors, one thread, a manual clock."""

from __future__ import annotations

import pytest

from actors.runtime.host import Address
from actors.runtime.inline import InlineHost
from actors.runtime.io import IoActor
from tests.runtime import cast, cast_io
from tests.runtime.cast import Answer, Ask, Numbered


@pytest.fixture
def host() -> InlineHost:
    """A fresh host."""
    return InlineHost()


def test_the_actors_of_the_other_tests_run_here(host: InlineHost) -> None:
    """A crowd that asks a pool gives the same result as on real processes."""
    shard = host.spawn(cast.Shard)
    host.tell(shard, Ask("run", 100))
    host.run()
    assert host.take() == [Answer((100, 100))]


def test_the_clock_is_manual(host: InlineHost) -> None:
    """Timers fire in order when the clock is told to go on, not before; cancelled ones never."""
    clock = host.spawn(cast_io.Clockwork)
    host.tell(clock, Ask("schedule", [3.0, 1.0, 2.0, 1.0]))
    host.run()
    host.actor(clock, cast_io.Clockwork).timers[2].cancel()
    host.run(until_s=2.5)
    assert host.actor(clock, cast_io.Clockwork).fired == [1, 3]
    host.advance(10)
    assert host.take() == [Answer([1, 3, 0])]
    assert host.now == 12.5


def test_failures_come_back(host: InlineHost) -> None:
    """A handler that raises, what cannot be pickled and what cannot be read are told to the sender."""
    lab = host.spawn(cast.Lab)
    host.tell(lab, Ask("addresses"))
    host.run()
    (found,) = host.take()
    assert isinstance(found, Answer)
    for what in (
        Ask("send", (found.value["inner"], Ask("nonsense"))),
        Ask("send_unpicklable", found.value["pool"]),
    ):
        host.tell(lab, what)
    host.tell(lab, Ask("send_unreadable", found.value["pool"]))
    host.run()
    kinds = [kind for kind, _ in host.actor(lab, cast.Lab).back]
    assert kinds == ["Unpicklable", "Unreadable", "Ask"]
    assert host.actor(lab, cast.Lab).echoed == [1, 2, 1, 2]


def test_crash_and_stop(host: InlineHost) -> None:
    """A crash takes the descendants along and the parent is told once; so with a stop, after `stopping`."""
    lab = host.spawn(cast.Lab)
    host.run()
    actor = host.actor(lab, cast.Lab)
    child = host.children(actor.nest)[0]
    host.crash(actor.nest)
    host.tell(lab, Ask("stop", actor.inner))
    host.run()
    assert set(actor.gone) == {actor.nest, actor.inner}
    assert not host.alive(child)
    host.tell(child, Numbered(1))
    host.run()
    assert actor.dead == [(child, Numbered(1))]
    host.crash(actor.pool)
    host.run()
    assert len(actor.gone) == 3
    assert host.alive(actor.pool), "the lab makes a new pool"


class Worker(IoActor):
    """Uses all of IoActor."""

    def receive(self, message: object, sender: Address) -> None:
        self.submit(lambda: 1, lambda result: self.tell(sender, result))
        self.submit(lambda: int("x"), lambda result: self.tell(sender, type(result).__name__))
        self.submit_async(self.later, lambda result: self.tell(sender, result))
        self.post("a")
        self.post("b")
        self.boss = sender

    async def later(self) -> int:
        return 2

    def posted(self, items: list[object]) -> None:
        self.tell(self.boss, items)


def test_io_actors_run_inline(host: InlineHost) -> None:
    """Work, coroutines and posted items come back as events, in a fixed order."""
    host.tell(host.spawn(Worker), "go")
    host.run()
    assert host.take() == [1, "ValueError", 2, ["a", "b"]]
    host.close()


def test_endless_talk_is_noticed(host: InlineHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors that never come to rest raise instead of hanging the test."""
    monkeypatch.setattr("actors.runtime.inline.MAX_EVENTS", 1000)
    first, second = host.spawn(cast.Chatter), host.spawn(cast.Chatter)
    host.tell(first, Numbered(0, second))
    with pytest.raises(RuntimeError, match="for ever"):
        host.run()
