"""Work that would never end, and what ends it."""

from __future__ import annotations

import re
import signal
import threading
import time

import pytest

from actors.core.errors import TookTooLong
from actors.runtime import alarm

ENDLESS = re.compile(r"(\w+\s?)*$"), "a" * 60 + "!"


def test_what_ends_is_returned() -> None:
    """The limit changes nothing about work that is done in time, or about errors of its own."""
    assert alarm.within(1.0, lambda: 7) == 7
    assert alarm.match(re.compile("a|b"), "bc")
    assert not alarm.match(re.compile("c"), "bc")
    with pytest.raises(ZeroDivisionError):
        alarm.within(1.0, lambda: 1 // 0)


def test_a_match_that_never_ends_is_ended() -> None:
    """A pattern that backtracks without end costs half a second of processor time, and no more."""
    before = time.process_time()
    with pytest.raises(TookTooLong):
        alarm.match(*ENDLESS)
    assert alarm.MATCH_MAX_S * 0.9 < time.process_time() - before < alarm.MATCH_MAX_S * 4


def test_a_loop_that_never_ends_is_ended() -> None:
    """Python code is interrupted as well."""

    def spin() -> None:
        while True:
            pass

    with pytest.raises(TookTooLong):
        alarm.within(0.05, spin)


def test_nothing_is_left_behind() -> None:
    """Whether the work ended or was ended, no alarm is set afterwards and the handler is the one from before."""
    before = signal.getsignal(signal.SIGVTALRM)
    alarm.within(5.0, lambda: None)
    with pytest.raises(TookTooLong):
        alarm.within(0.01, lambda: ENDLESS[0].match(ENDLESS[1]))
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == before


def test_another_thread_is_not_limited() -> None:
    """Only the main thread can be interrupted: elsewhere the work is just done."""
    made: list[int] = []
    thread = threading.Thread(target=lambda: made.append(alarm.within(0.001, lambda: sum(range(10**6)))))
    thread.start()
    thread.join()
    assert made == [499999500000]
