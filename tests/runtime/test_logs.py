# ruff: noqa: D102 - actors of tests are described by their classes
"""What processes log, and what Thespian does not."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from pathlib import Path

import pytest

from actors.runtime import logs
from actors.runtime.actor import BaseActor
from actors.runtime.host import Address
from actors.runtime.logs import LogConfig
from actors.runtime.system import start
from tests.runtime import cast
from tests.runtime.cast import Answer, Ask
from tests.runtime.conftest import Stage, eventually

AT_IMPORT = logging.getLogger("made.at.import")


class Scribe(BaseActor):
    """Logs through the runtime's logger and through one made at import time."""

    def receive(self, message: object, sender: Address) -> None:
        self.log.debug("hidden")
        for number in range(3000):
            AT_IMPORT.info("line %d", number)
        self.log.warning("with ümlauts\nand a second line")
        self.tell(sender, Answer("done"))


def test_json_lines(tmp_path: Path) -> None:
    """Every record is one JSON object per line, from every process, with its level, process and pid."""
    path = tmp_path / "log"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    system = start(Scribe, log_config=LogConfig(as_json=True, fd=fd, level="INFO"))
    try:
        root = system.pids()[1]
        system.ask("go", 10, Answer)
    finally:
        system.stop()
        os.close(fd)
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    ours = [record for record in records if record["pid"] == root]
    assert [r["message"] for r in ours[:3000]] == [f"line {number}" for number in range(3000)]
    assert ours[3000]["level"] == "WARNING"
    assert ours[3000]["message"] == "with ümlauts\nand a second line"
    assert ours[3000]["process"] == "Scribe"
    assert "hidden" not in path.read_text(encoding="utf-8")


class Mute:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def shown(as_json: bool) -> list[str]:
    """The lines of records that are hard to write."""
    reader, writer = os.pipe()
    handler = logs._Descriptor(writer)
    handler.setFormatter(logs._Formatter("p", as_json))
    for text, arguments in (("value %s", (Mute(),)), ("one of %s %s", (1,)), ("\x1b[31mof a device\x07", ())):
        handler.handle(logging.LogRecord("name", logging.INFO, "", 0, text, arguments, None))
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        return file.read().splitlines()


def test_a_record_without_a_text_is_json_too() -> None:
    """Arguments that cannot be put into words cost the text of their line, never its form."""
    messages = [json.loads(line)["message"] for line in shown(as_json=True)]
    assert messages[:2] == [
        f"unprintable log record of name: {kind}" for kind in ("RuntimeError", "TypeError")
    ]


def test_a_line_for_people_does_not_steer_their_terminal() -> None:
    """What would is shown as its number."""
    assert shown(as_json=False)[2].endswith("\\u001b[31mof a device\\u0007")


def test_thespian_leaves_no_log_file(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thespian's own log file does not appear in the temporary folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    system = stage.start(cast.Lab)
    system.ask(Ask("pid"), 5, Answer)
    system.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["log"], "the log of the stage itself"


def test_processes_have_names(stage: Stage) -> None:
    """ps shows what a process is."""
    system = stage.start(cast.Lab)

    def names() -> list[str]:
        return [Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() for pid in system.pids()]

    # the Lab answers while its Pool still begins
    eventually(lambda: names() == ["gw:admin", "gw:Lab", "gw:Pool"])


def test_start_belongs_to_the_main_thread() -> None:
    """start on another thread is refused: the kernel would tie the system's life to that thread."""
    caught: list[str] = []

    def attempt() -> None:
        try:
            start(cast.Lab)
        except RuntimeError as error:
            caught.append(str(error))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert caught == ["start() belongs to the main thread"]


def test_stop_from_another_thread(stage: Stage) -> None:
    """stop may be called from any thread, and twice."""
    system = stage.start(cast.Lab)
    thread = threading.Thread(target=system.stop)
    thread.start()
    thread.join(10)
    assert not system.alive()
    system.stop()
