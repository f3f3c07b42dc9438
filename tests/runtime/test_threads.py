"""The pools of threads of one process, without a process."""

from __future__ import annotations

import threading

import pytest

from actors.runtime.host import Busy, Lane
from actors.runtime.threads import Bridge, Workers
from tests.runtime.conftest import eventually


def test_a_time_without_new_threads_costs_a_lane_none_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system lets us begin no thread: those that there are do the work; where there is none it is refused; later a
    lane has as many as it may."""
    workers = Workers({"io": Lane(3, 100)}, 1, Bridge(lambda: None))
    go, began = threading.Event(), list[str]()

    def work() -> None:
        began.append(threading.current_thread().name)
        go.wait()

    def submit() -> None:
        workers.submit(work, lambda _outcome: None, "io")

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Busy, match="thread"):
            submit()
    submit()
    eventually(lambda: len(began) == 1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            submit()
    for _ in range(2):
        submit()
    eventually(lambda: len(began) == 3)
    go.set()
    eventually(lambda: len(began) == 5)
