"""The state folder: what cannot be made, and two controllers on one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.cli import main, rendezvous
from actors.cli.controller import NoServices
from actors.cli.rendezvous import Running, TakenError
from config.sections import PathsSection, Snapshot
from sim.standalone import Services

HOLDER = """
import os, sys
from pathlib import Path
from actors.cli import rendezvous
kept = rendezvous.claim(Path(sys.argv[1]))
rendezvous.write(Path(sys.argv[1]), rendezvous.Running(os.getpid()))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """`main` is told to end by signals, and ignores them while it ends: processes begun later would inherit that."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("arguments", [[], ["controller"]])
def test_a_folder_that_cannot_be_made_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """The setting is named, and what to do; no traceback."""
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "state"
    if arguments:
        monkeypatch.setenv("GATEWRIGHT_ETCD__ENDPOINTS", "http://127.0.0.1:1")
        monkeypatch.setenv("GATEWRIGHT_HEAT__ENDPOINT", "http://127.0.0.1:1/v1")
    assert main(["--state-dir", str(place), *arguments], lambda *given: Services(*given)) == 2
    told = capsys.readouterr().err
    assert f"paths.state_dir: {place} cannot be made: Not a directory" in told


@pytest.mark.parametrize("arguments", [[], ["controller"]])
def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """One line and exit code 2, before anything is started."""
    if arguments:
        monkeypatch.setenv("GATEWRIGHT_ETCD__ENDPOINTS", "http://127.0.0.1:1")
        monkeypatch.setenv("GATEWRIGHT_HEAT__ENDPOINT", "http://127.0.0.1:1/v1")
    for name in ("lock", "controller.lock"):
        (tmp_path / name).symlink_to("/dev/full")
    assert main(["--state-dir", str(tmp_path), *arguments], lambda *given: Services(*given)) == 2
    assert f"paths.state_dir: {tmp_path} cannot be written: " in capsys.readouterr().err


def test_a_number_that_another_process_has_by_now_is_no_controller(tmp_path: Path) -> None:
    """A controller that was killed leaves its file, and its number goes to somebody else, whom no `drain` may end."""
    rendezvous.write(tmp_path, Running(os.getpid()))
    assert rendezvous.read(tmp_path) == Running(os.getpid())
    file = tmp_path / "running.json"
    said = json.loads(file.read_text())
    for born in ("another boot 5", "", None):
        file.write_text(json.dumps({**said, "born": born}))
        assert rendezvous.read(tmp_path) is None


def test_a_second_controller_does_not_take_the_folder_of_the_first(tmp_path: Path) -> None:
    """It is refused with the process that has it, whose file stays; after that one's end the folder is free."""
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert first.stdin is not None and first.stdout is not None
    try:
        assert first.stdout.readline() == "ready\n"
        second = NoServices(Snapshot(paths=PathsSection(state_dir=tmp_path)))
        with pytest.raises(
            TakenError, match=f"pid {first.pid} runs in .* already: give each its own --state-dir"
        ):
            second.start()
        second.stop()
        rendezvous.remove(tmp_path)
        assert rendezvous.read(tmp_path) == Running(first.pid)
    finally:
        first.communicate(timeout=10.0)
    second.start()
    second.stop()
