"""The queues of a process, without a network: what is sent, sent again, lost and counted."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

from actors.runtime.address import Address
from actors.runtime.limits import Limits
from actors.runtime.outbox import Outbox, Parcel, Repetitions
from tests.runtime.cast import Numbered

THERE = Address(1, 1)


class Wire:
    """Keeps what is transmitted, until the test says how it ended."""

    def __init__(self, limits: Limits) -> None:
        self.sent: list[tuple[Address, Parcel, Callable[[str], None]]] = []
        self.pauses: list[tuple[float, Callable[[], None]]] = []
        self.lost: list[tuple[Address, Any]] = []
        self.counters: Counter[str] = Counter()
        self.outbox = Outbox(
            limits,
            lambda to, parcel, ended: self.sent.append((to, parcel, ended)),
            lambda delay, call: self.pauses.append((delay, call)),
            lambda to, data: self.lost.append((to, pickle.loads(data))),
            self.counters,
        )

    def numbers(self, place: int) -> list[int]:
        """What is in a transmitted parcel."""
        return [pickle.loads(data).number for _, _, data in self.sent[place][1].items]


def test_one_frame_at_a_time_and_bounded() -> None:
    """While a frame is under way the rest waits; the next takes up to the limit."""
    wire = Wire(Limits(batch_items=3))
    for number in range(5):
        wire.outbox.put(THERE, 0, Numbered(number))
        wire.outbox.flush()
    assert [wire.numbers(0)] == [[0]] and len(wire.sent) == 1
    wire.sent[0][2]("sent")
    assert wire.numbers(1) == [1, 2, 3]
    wire.sent[1][2]("sent")
    assert wire.numbers(2) == [4]
    assert not wire.outbox.idle()
    wire.sent[2][2]("sent")
    assert wire.outbox.idle()


def test_frames_are_bounded_in_bytes() -> None:
    """A frame ends before the limit of bytes; one larger message travels alone."""
    wire = Wire(Limits(batch_bytes=1000))
    for size in (400, 400, 400, 5000, 10):
        wire.outbox.put(THERE, 0, bytes(size))
    wire.outbox.flush()
    for place in range(4):
        wire.sent[place][2]("sent")
    assert [len(parcel.items) for _, parcel, _ in wire.sent] == [2, 1, 1, 1]


def test_a_failed_frame_is_sent_again_then_given_up() -> None:
    """The very same frame is sent again after growing pauses; then its messages are lost and the next follow."""
    wire = Wire(Limits(batch_items=2, retries=2))
    for number in range(3):
        wire.outbox.put(THERE.inside(number), 0, Numbered(number))
    wire.outbox.flush()
    for attempt in range(2):
        wire.sent[attempt][2]("failed")
        assert wire.lost == []
        wire.pauses[attempt][1]()
    assert [delay for delay, _ in wire.pauses] == [1.0, 2.0]
    assert wire.sent[0][1] is wire.sent[1][1] is wire.sent[2][1]
    wire.sent[2][2]("failed")
    assert wire.lost == [(THERE.inside(0), Numbered(0)), (THERE.inside(1), Numbered(1))]
    assert wire.numbers(3) == [2]
    assert wire.counters["frames_retried"] == 2


def test_a_dead_process_loses_everything_at_once() -> None:
    """If the process is gone, what waits for it is lost too, and nothing is sent any more."""
    wire = Wire(Limits(batch_items=1))
    for number in range(3):
        wire.outbox.put(THERE, 0, Numbered(number))
    wire.outbox.flush()
    wire.sent[0][2]("dead")
    assert [message.number for _, message in wire.lost] == [0, 1, 2]
    assert len(wire.sent) == 1
    assert wire.outbox.idle()


def test_repeated_frames_are_told() -> None:
    """A frame number is accepted once per sender; unnumbered frames always; old senders are forgotten."""
    seen = Repetitions(size=10)
    assert not seen.is_repeated(THERE, Parcel(1, ()))
    assert seen.is_repeated(THERE, Parcel(1, ()))
    assert not seen.is_repeated(THERE, Parcel(2, ()))
    assert seen.is_repeated(THERE, Parcel(1, ()))
    assert not seen.is_repeated(Address(1, 2), Parcel(1, ()))
    assert not any(seen.is_repeated(THERE, Parcel(0, ())) for _ in range(2))
    for life in range(100):
        seen.is_repeated(Address(2, life), Parcel(1, ()))
    assert len(seen._last) == 10
