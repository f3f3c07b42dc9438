"""The main job when the tree of actors dies while it starts: begun again, given up in the end, never a traceback."""

from __future__ import annotations

import argparse
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.cli import main_job
from actors.cli.controller import NoServices
from actors.core.model import Ref
from actors.messages import ResourceStatus, StatusReply
from actors.runtime.system import NoAnswerError, SystemGoneError
from config.sections import EtcdSection, HeatSection, PathsSection, Snapshot
from config.snmp_section import SnmpSection


class Tree:
    """An actor system of which only the start matters. `deaths`: what the next starts die of."""

    deaths: list[Exception]
    started: int
    #: what the root's process answers, one after the other; at the end the watching ends
    hears: list[bool]
    asked: int

    def tell(self, _message: object) -> None:
        """Take the orders, or do not."""
        Tree.started += 1
        if Tree.deaths and isinstance(Tree.deaths[0], NoAnswerError):
            raise Tree.deaths.pop(0)

    def pids(self) -> list[int]:
        """No processes."""
        return []

    def stop(self) -> None:
        """It is over."""

    def ask(self, *_: object) -> None:
        """No status comes, and nobody asks for ever."""
        Tree.asked += 1
        raise NoAnswerError("no answer") if Tree.hears and Tree.asked < 20 else KeyboardInterrupt

    def answers(self, _timeout_s: float) -> bool:
        """As was laid down."""
        return Tree.hears.pop(0)


def start(*_: Any, **__: Any) -> Tree:
    """In place of `actors.runtime.system.start`."""
    if Tree.deaths and isinstance(Tree.deaths[0], SystemGoneError):
        raise Tree.deaths.pop(0)
    return Tree()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[main_job.Run]:
    """A controller that is about to start; what it does to signals is undone."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    Tree.deaths, Tree.started, Tree.hears, Tree.asked = [], 0, [], 0
    monkeypatch.setattr("actors.runtime.system.start", start)
    settings = Snapshot(
        etcd=EtcdSection(endpoints=("http://127.0.0.1:1",)),
        heat=HeatSection(endpoint="http://127.0.0.1:1/v1"),
        paths=PathsSection(state_dir=tmp_path),
    )
    parsed = argparse.Namespace(once=False, declare=None, state_dir=None, config=None)
    yield main_job.Run(settings, lambda known, _say: NoServices(known), parsed)
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


def test_the_commands_to_try_are_given_what_this_one_was() -> None:
    """State folder and settings, where they were given, so that the command finds the same system."""
    bare = argparse.Namespace(state_dir=None, config=None)
    assert main_job.command_line(bare, "status") == "python run.py status"
    given = argparse.Namespace(state_dir=Path("/s"), config=Path("/a b.toml"))
    assert (
        main_job.command_line(given, "status") == "python run.py --state-dir /s --config '/a b.toml' status"
    )


def test_where_nothing_was_to_be_done_the_commands_are_about_what_is_watched_most(
    run: main_job.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """What took longest is named; after a start that finds all settled, not just anything."""
    bare, gateway, slow = (
        ResourceStatus(Ref("t", name), 1, "settled", "", 0.0, seconds, "", monitoring)
        for name, seconds, monitoring in (
            ("bare", {}, {}),
            ("gate", {}, {"a": "UP"}),
            ("slow", {"own": 1.0}, {}),
        )
    )
    for rows, named in (((bare, gateway), "gate"), ((bare, gateway, slow), "slow")):
        run._teach(StatusReply("1", True, "up", {}, rows, ()))
        assert f"explain {named}" in capsys.readouterr().out


GONE, DEAF = SystemGoneError("a part died"), NoAnswerError("nobody took it")


@pytest.mark.parametrize("deaths", [[GONE], [DEAF], [GONE, DEAF, GONE]])
def test_a_tree_that_dies_at_its_start_is_begun_again(run: main_job.Run, deaths: list[Exception]) -> None:
    """Whether a part died or the orders were not taken: the next start counts."""
    Tree.deaths = list(deaths)
    run._begin()
    assert Tree.deaths == []
    assert Tree.started == 1 + sum(isinstance(death, NoAnswerError) for death in deaths)


def test_a_tree_that_never_starts_is_given_up(run: main_job.Run, capsys: pytest.CaptureFixture[str]) -> None:
    """After four starts within a minute the exit code is 70, and a sentence says why."""
    Tree.deaths = [GONE, DEAF] * 4
    assert run.run() == 70
    assert "died four times within a minute" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("hears", "starts"), [([False] * 3 + [True] + [False] * 3, 1), ([False] * 4 + [True], 2)]
)
def test_a_supervisor_that_hangs_is_replaced(
    run: main_job.Run, capsys: pytest.CaptureFixture[str], hears: list[bool], starts: int
) -> None:
    """Silent as often in a row as others may miss heartbeats: the tree is begun again; as long as it answers now and
    then, only the status is late."""
    Tree.hears = list(hears)
    assert run.run() == 0
    assert Tree.started == starts
    assert ("the supervisor does not answer" in capsys.readouterr().out) is (starts == 2)


def test_a_death_during_a_reload_does_not_end_it(run: main_job.Run) -> None:
    """SIGHUP, and a process that dies at that moment: the tree is begun again with the new settings."""
    run._begin()
    Tree.deaths = [DEAF]
    run._take_settings()
    assert Tree.started == 3


def test_a_table_of_monitors_that_was_spoilt_meanwhile_ends_no_controller(
    run: main_job.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a reload nor the death of the tree while somebody edits it: what was read at the start counts on."""
    table = tmp_path / "monitors.yaml"
    table.write_text("own: {host: ip, oid: 1.3.6.1.2.1.1.3.0, states: {}, other: UP}", encoding="utf-8")
    settings = replace(run._settings, snmp=SnmpSection(monitor_types_file=table))
    (tmp_path / "empty.toml").touch()
    parsed = argparse.Namespace(once=False, declare=None, state_dir=None, config=tmp_path / "empty.toml")
    run = main_job.Run(settings, lambda known, _say: NoServices(known), parsed)
    run._begin()
    table.write_text("- [", encoding="utf-8")
    run._take_settings()
    assert f"settings stay as they were: {table}:1: not YAML" in capsys.readouterr().out
    assert Tree.started == 1
    run._restart()
    assert Tree.started == 2


def test_a_reload_does_not_wait_for_types_that_are_away(
    run: main_job.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGHUP while Gohan does not answer: the settings stay, and the watching goes on before a watchdog ends it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        where = f"http://127.0.0.1:{closed.getsockname()[1]}/schemas"
        (tmp_path / "away.toml").write_text(
            f"[types]\ngohan = '{where}'\npatience_s = 20\n", encoding="utf-8"
        )
        run._parsed.config = tmp_path / "away.toml"
        began = time.monotonic()
        run._take_settings()
    assert "settings stay as they were" in capsys.readouterr().out
    assert time.monotonic() - began < 10
    assert Tree.started == 0
