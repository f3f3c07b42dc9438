# ruff: noqa: D102 - the actors of tests are described by their classes and by the tests
"""The actors with timers and threads that play in the tests of the runtime."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any, ClassVar

from actors.runtime.host import Address, Busy, Lane, Timer
from actors.runtime.io import IoActor
from tests.runtime.cast import Answer, Talker


class Clockwork(Talker):
    """Timers in a process actor."""

    def __init__(self) -> None:
        self.fired: list[object] = []
        self.timers: dict[int, Timer] = {}
        self.until: object = None
        self.rearm = False

    def schedule(self, delays: list[float]) -> None:
        for number, delay in enumerate(delays):
            self.timers[number] = self.after(delay, Answer(number))
        self.until = Answer(max(range(len(delays)), key=lambda number: delays[number]))

    def schedule_and_cancel(self, how_many: int) -> None:
        for number in range(how_many):
            self.timers[number] = self.after(0.02, Answer(number))
        for number in range(0, how_many, 2):
            self.timers[number].cancel()
        self.until = Answer(how_many)
        self.after(0.02, self.until)
        self.after(0.0, "cancel late")

    def spin(self, _: object) -> bool:
        self.rearm = True
        self.after(0.0, "again")
        return True

    def other(self, message: object, sender: Address) -> None:
        assert sender == self.me
        if message == "again":
            self.after(0.0, "again")
            return
        if message == "cancel late":
            self.timers[1].cancel()
            return
        assert isinstance(message, Answer)
        self.fired.append(message.value)
        if message == self.until:
            self.tell(self.asker, Answer(self.fired))


class InnerClockwork(Clockwork):
    """The same inside a process."""

    in_process = True


class Timekeeper(Clockwork):
    """A root with timers, and a child with timers."""

    def started(self) -> None:
        self.inner = self.spawn(InnerClockwork)

    def inner_address(self, _: object) -> Address:
        return self.inner


# --------------------------------------------------------------------------------------------- threads


class Bridge(IoActor, Talker):
    """An IoActor whose threads post, work and run coroutines."""

    lanes: ClassVar[dict[str, Lane]] = {"io": Lane(4, 1000), "narrow": Lane(1, 2)}
    max_coroutines = 1000

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.batches = 0
        self.expected = 0
        self.results: list[Any] = []

    def post_from_threads(self, arg: tuple[int, int]) -> None:
        threads, each = arg
        self.expected = threads * each
        for name in range(threads):
            threading.Thread(target=self._post, args=(name, each), daemon=True).start()

    def _post(self, name: int, how_many: int) -> None:
        for number in range(how_many):
            self.post((name, number))

    def posted(self, items: list[object]) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.items += items
        self.batches += 1
        if len(self.items) == self.expected:
            self.tell(self.asker, Answer((self.items, self.batches)))

    def work(self, how_many: int) -> None:
        self.expected = how_many
        for number in range(how_many):
            self.submit(partial(_divide, number), self._done)

    def coroutines(self, how_many: int) -> None:
        self.expected = how_many
        for number in range(how_many):
            self.submit_async(partial(_later, number), self._done)

    def beside_one_that_waits(self, how_many: int) -> None:
        self.submit_async(_for_ever, self._done)
        self.expected = how_many
        for number in range(how_many):
            self.submit_async(partial(_soon, number), self._done)

    def _done(self, result: object) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.results.append(repr(result) if isinstance(result, BaseException) else result)
        if len(self.results) == self.expected:
            self.tell(self.asker, Answer(self.results))

    def overfill(self, _: object) -> int:
        release = threading.Event()
        accepted = 0
        try:
            for _number in range(10):
                self.submit(release.wait, lambda _result: None, lane="narrow")
                accepted += 1
        except Busy:
            pass
        release.set()
        return accepted

    def tell_from_thread(self, _: object) -> None:
        asker = self.asker

        def attempt() -> str:
            try:
                self.tell(asker, Answer("sent from a thread"))
            except RuntimeError as error:
                return str(error)
            return "accepted"

        self.submit(attempt, lambda text: self.tell(asker, Answer(text)))


def _divide(number: int) -> str:
    return str(1 // number) and threading.current_thread().name


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _soon(number: int) -> int:
    await asyncio.sleep(0.001 * number)
    return number


async def _later(number: int) -> int:
    await asyncio.sleep(0.01)
    return 100 // number
