"""Systems of real processes for the tests of the runtime; none may leave a process behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.runtime import safety
from actors.runtime.actor import BaseActor
from actors.runtime.logs import LogConfig
from actors.runtime.system import System, start


def eventually(check: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """The first true result of `check`, asked again and again; fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = check()
        if result or time.monotonic() > deadline:
            assert result, "it did not happen"
            return result
        time.sleep(0.01)


def all_gone(pids: list[int]) -> bool:
    """Whether none of these processes lives."""
    return all(safety.gone(pid) for pid in pids)


class Stage:
    """Starts systems that log to a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "log"
        self._fd = os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._systems: list[System] = []
        self._pids: set[int] = set()

    def start(self, root: type[BaseActor], **options: Any) -> System:
        """As `system.start`."""
        system = start(root, log_config=LogConfig(fd=self._fd), **options)
        self._systems.append(system)
        return system

    def log(self) -> str:
        """All that the systems have logged so far."""
        return self._file.read_text(encoding="utf-8")

    def close(self) -> None:
        """Stop everything and look whether it is gone."""
        for system in self._systems:
            self._pids.update(system.pids())
            system.stop()
        os.close(self._fd)
        assert all_gone(list(self._pids)), "processes were left behind"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A place where systems are started, and ended after the test."""
    place = Stage(tmp_path)
    yield place
    place.close()
