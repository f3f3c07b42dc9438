"""What is different in a process while a case is played, and is as before afterwards.

Guarantees: every change is undone, whatever ends the run. Not for two runs at a time in one process.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import actors.resource as resource_module
from actors.core import machine, ownership
from actors.core.machine import Event, State
from actors.runtime import alarm
from sim.invariants import Crashed

#: Virtual shards of a simulated deployment.
VSHARDS = 32


@contextmanager
def _instead(owner: Any, name: str, made: Any) -> Iterator[None]:
    """Something else under that name for a while."""
    real = vars(owner)[name]
    setattr(owner, name, made)
    try:
        yield
    finally:
        setattr(owner, name, real)


@contextmanager
def counted_transitions() -> Iterator[Counter[tuple[State, Event]]]:
    """Count every step that actors take through the job machine."""
    seen: Counter[tuple[State, Event]] = Counter()
    table, real = machine.TABLE, vars(resource_module)["step"]

    def counting(state: State, event: Event) -> machine.Transition | None:
        if (state, event) in table:
            seen[state, event] += 1
        found: machine.Transition | None = real(state, event)
        return found

    with _instead(resource_module, "step", counting):
        yield seen


def few_shards() -> AbstractContextManager[None]:
    """A few resources need not be spread over 256 virtual shards, each a key to take, to fence and to mirror."""
    return _instead(ownership, "VSHARDS", VSHARDS)


def no_alarms() -> AbstractContextManager[None]:
    """Nothing here may depend on how fast the machine is: work takes as long as it takes."""
    return _instead(alarm, "within", lambda _limit_s, work: work())


@contextmanager
def no_collections() -> Iterator[None]:
    """A run makes next to no cycles but its own world, which is collected when it is over."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Alarm(logging.Handler):
    """Ends the run when the product logs an exception or an impossible event."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
            raise Crashed("Crash", f"{record.getMessage()}: {type(error).__name__}: {error} ({where})")
        if record.msg.startswith("%s: impossible event"):
            raise Crashed("Crash", record.getMessage())


@contextmanager
def crashes() -> Iterator[None]:
    """An exception that the product logs, or an impossible event, ends the run."""
    logger, alarm = logging.getLogger("gatewright"), _Alarm()
    before, propagate = logger.level, logger.propagate
    logger.addHandler(alarm)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(alarm)
        logger.setLevel(before)
        logger.propagate = propagate
