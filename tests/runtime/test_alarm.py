"""Work that would never end, and what ends it."""

from __future__ import annotations

import contextlib
import gc
import re
import signal
import sys
import threading
import time

import pytest

from actors.core.limiting import Interrupted, TookTooLong
from actors.runtime import alarm

ENDLESS = re.compile(r"(\w+\s?)*$"), "a" * 60 + "!"


def test_what_ends_is_returned() -> None:
    """The limit changes nothing about work that is done in time, or about errors of its own."""
    assert alarm.within(1.0, lambda: 7) == 7
    assert alarm.limited(lambda: "planned") == "planned"
    with pytest.raises(ZeroDivisionError):
        alarm.within(1.0, lambda: 1 // 0)


def test_a_match_that_never_ends_is_ended() -> None:
    """A pattern that backtracks without end costs the processor time that it is given, and not much more."""
    before = time.process_time()
    with pytest.raises(TookTooLong):
        alarm.within(0.2, lambda: ENDLESS[0].match(ENDLESS[1]))
    assert 0.18 < time.process_time() - before < 2.0


def test_the_outer_limit_holds() -> None:
    """What is limited within something that is limited does not give it more time."""
    before = time.process_time()
    with pytest.raises(TookTooLong):
        alarm.within(0.1, lambda: alarm.within(30.0, lambda: ENDLESS[0].match(ENDLESS[1])))
    assert time.process_time() - before < 2.0


def test_nothing_on_the_way_takes_it_for_its_own_failure() -> None:
    """Code that goes on after any Exception is ended all the same."""

    def stubborn() -> bool:
        with contextlib.suppress(Exception):
            ENDLESS[0].match(ENDLESS[1])
        return True

    with pytest.raises(TookTooLong):
        alarm.within(0.05, stubborn)


def test_an_alarm_that_is_lost_rings_again() -> None:
    """What is raised within a callback of the collector reaches nobody: the next one does. Nothing is printed about
    it, but what else is lost meanwhile is."""
    ended, printed = list[bool](), list[object]()

    def slow(phase: str, _info: object) -> None:
        if phase == "start" and not ended:
            until = time.process_time() + 5.0
            try:
                while time.process_time() < until:
                    pass
            except Interrupted:
                ended.append(True)
                raise

    class Spoilt:
        def __del__(self) -> None:
            raise ValueError("not ours")

    def spin() -> None:
        gc.collect()
        Spoilt()
        while True:
            pass

    hook, sys.unraisablehook = sys.unraisablehook, lambda lost: printed.append(lost.exc_type)
    gc.callbacks.append(slow)
    try:
        with pytest.raises(TookTooLong):
            alarm.within(0.05, spin)
    finally:
        gc.callbacks.remove(slow)
        sys.unraisablehook = hook
    assert ended
    assert printed == [ValueError]


def test_what_other_threads_use_does_not_count() -> None:
    """Busy threads beside it take nothing of what the work may use."""
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            sum(range(1_000))

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        began, until = time.thread_time(), time.process_time() + 0.6

        def shared() -> float:
            while time.process_time() < until:
                sum(range(1_000))
            return time.thread_time() - began

        assert alarm.within(0.59, shared) < 0.59
    finally:
        stop.set()
        for thread in threads:
            thread.join()


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
