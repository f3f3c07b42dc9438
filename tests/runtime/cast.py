# ruff: noqa: D102 - the actors of tests are described by their classes and by the tests
"""The actors that play in the tests of the runtime."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actors.runtime.actor import BaseActor
from actors.runtime.host import Address
from actors.runtime.io import IoActor


@dataclass(frozen=True)
class Ask:
    """Do `what`, with `arg`."""

    what: str
    arg: Any = None


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    value: Any = None


@dataclass(frozen=True)
class Numbered:
    """A message whose place in a sequence can be seen."""

    number: int
    reply_to: Address = None


class Unreadable:
    """Can be pickled, cannot be unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (_fail, ("these are not the bytes you are looking for",))


def _fail(text: str) -> None:
    raise RuntimeError(text)


@dataclass(frozen=True)
class Unpicklable:
    """Holds what cannot be pickled."""

    held: Any = field(default_factory=threading.Lock)


class Talker(BaseActor):
    """Calls the method that the message names, and answers with what it returns (unless None)."""

    def receive(self, message: object, sender: Address) -> None:
        if isinstance(message, Ask):
            self.asker = sender
            value = getattr(self, message.what)(message.arg)
            if value is not None:
                self.tell(sender, Answer(value))
        else:
            self.other(message, sender)

    def other(self, message: object, sender: Address) -> None:
        """What is no question."""

    def pid(self, _: object) -> int:
        return os.getpid()

    def address(self, _: object) -> Address:
        return self.me

    def count(self, _: object) -> dict[str, int]:
        return self.counters()


class Inner(Talker):
    """An in-process actor."""

    in_process = True

    def other(self, message: object, sender: Address) -> None:
        if isinstance(message, Numbered):
            self.tell(message.reply_to, Answer(message.number))


class InnerNest(Talker):
    """An in-process actor with in-process children, which also has a timer."""

    in_process = True

    def started(self) -> None:
        self.child = self.spawn(Inner)
        self.gone: list[Address] = []

    def child_address(self, _: object) -> Address:
        return self.child

    def tick(self, delay_s: float) -> None:
        self.after(delay_s, Answer("tick"))

    def other(self, message: object, sender: Address) -> None:
        if message == Answer("tick"):
            self.tell(self.asker, message)


class Pool(IoActor, Talker):
    """A process actor that answers numbered messages."""

    def started(self) -> None:
        self.seen: list[int] = []

    def other(self, message: object, sender: Address) -> None:
        if isinstance(message, Numbered):
            self.seen.append(message.number)
            self.tell(sender, message)

    def numbers(self, _: object) -> list[int]:
        return self.seen

    def posted(self, items: list[object]) -> None:
        """Nothing is posted here."""

    def hang(self, seconds: float) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(seconds)


class Lab(Talker):
    """The root of most tests: makes children, remembers what happened to them and to its messages."""

    def __init__(self) -> None:
        self.kids: list[Address] = []
        self.gone: list[Address] = []
        self.back: list[tuple[str, str]] = []
        self.dead: list[tuple[Address, Any]] = []
        self.echoed: list[int] = []
        self.raised = 0

    def started(self) -> None:
        self.inner = self.spawn(Inner)
        self.nest = self.spawn(InnerNest)
        self.pool = self.spawn(Pool)
        self.collect_dead_letters()

    def child_exited(self, address: Address) -> None:
        self.gone.append(address)
        if address == self.pool:
            self.pool = self.spawn(Pool)

    def poisoned(self, message: object, detail: str) -> None:
        self.back.append((type(message).__name__, detail))

    def dead_letter(self, to: Address, message: object) -> None:
        self.dead.append((to, message))

    def other(self, message: object, sender: Address) -> None:
        if isinstance(message, Numbered):
            self.echoed.append(message.number)

    # what tests ask for

    def addresses(self, _: object) -> dict[str, Address]:
        return {"inner": self.inner, "nest": self.nest, "pool": self.pool}

    def spawn_pools(self, how_many: int) -> list[Address]:
        self.kids += [self.spawn(Pool) for _ in range(how_many)]
        return self.kids

    def spawn_one(self, cls: type[BaseActor]) -> Address:
        return self.spawn(cls)

    def report(self, _: object) -> dict[str, Any]:
        return {
            "gone": self.gone, "back": self.back, "dead": self.dead,
            "echoed": self.echoed, "raised": self.raised,
        }  # fmt: skip

    def boom(self, _: object) -> None:
        self.raised += 1
        raise ValueError("boom")

    def send_to_pool(self, numbers: list[int]) -> bool:
        for number in numbers:
            self.tell(self.pool, Numbered(number))
        return True

    def send_unreadable(self, to: Address) -> bool:
        self.tell(to, Numbered(1))
        self.tell(to, Unreadable())
        self.tell(to, Numbered(2))
        return True

    def send_unpicklable(self, to: Address) -> bool:
        self.tell(to, Numbered(1))
        self.tell(to, Unpicklable())
        self.tell(to, Numbered(2))
        return True

    def stop(self, address: Address) -> bool:
        self.stop_child(address)
        return True

    def kill(self, address: Address) -> bool:
        self.kill_child(address)
        return True

    def send(self, arg: tuple[Address, Any]) -> bool:
        self.tell(*arg)
        return True


class BadInit(BaseActor):
    """A process actor that cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("no way")


class BadInitInside(BadInit):
    """Likewise inside its creator's process."""

    in_process = True


class Deaf(BaseActor):
    """A root that cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("never")


# --------------------------------------------------------------------------------------------- crowds


class Runner(BaseActor):
    """One of a crowd: asks the pool, waits for the echo, reports to its shard."""

    in_process = True

    def receive(self, message: object, sender: Address) -> None:
        if isinstance(message, Numbered):
            if message.reply_to is not None:
                self.shard = sender
                self.tell(message.reply_to, Numbered(message.number))
            else:
                self.tell(self.shard, Answer(message.number))
                self.stop_self()


class Leaving(Talker):
    """A process actor with much to say at its end."""

    def stopping(self) -> None:
        for number in range(1000):
            self.tell(self.boss, Numbered(number))

    def hello(self, boss: Address) -> bool:
        self.boss = boss
        return True


class Shard(Talker):
    """Spawns runners; a process actor like the product's shards."""

    def __init__(self) -> None:
        self.done: set[int] = set()
        self.exits = 0
        self.expected = 0
        self.living: list[Address] = []

    def started(self) -> None:
        self.pool = self.spawn(Pool)

    def run(self, how_many: int) -> None:
        self.expected = how_many
        for number in range(how_many):
            self.tell(self.spawn(Runner), Numbered(number, self.pool))

    def pool_address(self, _: object) -> Address:
        return self.pool

    def settle(self, how_many: int) -> list[Address]:
        self.living += [self.spawn(Inner) for _ in range(how_many)]
        return self.living

    def child_exited(self, address: Address) -> None:
        self.exits += 1
        if self.exits == self.expected:
            self.tell(self.asker, Answer((len(self.done), self.exits)))

    def other(self, message: object, sender: Address) -> None:
        if isinstance(message, Answer):
            self.done.add(message.value)


class Keeper(Talker):
    """A root that makes a new shard when one is gone, and tells who asked."""

    def started(self) -> None:
        self.shard = self.spawn(Shard)
        self.waiting: Address = None

    def shard_address(self, _: object) -> Address:
        return self.shard

    def stop_shard(self, _: object) -> None:
        self.waiting = self.asker
        self.stop_child(self.shard)

    def child_exited(self, address: Address) -> None:
        self.shard = self.spawn(Shard)
        if self.waiting is not None:
            self.tell(self.waiting, Answer((address, self.shard)))


class Flood(Talker):
    """A root under load: everybody talks for ever."""

    def started(self) -> None:
        self.pools = [self.spawn(Pool) for _ in range(3)]
        self.inner = [self.spawn(Chatter) for _ in range(20)]
        for pool in self.pools:
            for number in range(200):
                self.tell(pool, Numbered(number))
        for first, second in zip(self.inner, self.inner[1:], strict=False):
            self.tell(first, Numbered(0, second))

    def other(self, message: object, sender: Address) -> None:
        if isinstance(message, Numbered):
            self.tell(sender, message)


class Chatter(BaseActor):
    """Sends everything back at once: two of them never come to an end."""

    in_process = True

    def receive(self, message: object, sender: Address) -> None:
        assert isinstance(message, Numbered)
        self.tell(message.reply_to or sender, Numbered(message.number + 1))
