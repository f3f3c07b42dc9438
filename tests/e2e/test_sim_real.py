"""`run.py sim --real` as a person starts it: the second tier keeps its promises, has teeth, and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.real.faults import KINDS, Deck
from sim.real.lives import left_behind
from tests.e2e.harness import ROOT, eventually

pytestmark = pytest.mark.timeout(1800)
#: How long the short run is to last, in minutes; calm and deletion come on top.
MINUTES = os.environ.get("SIM_REAL_MINUTES", "2")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: the path of a socket has about a hundred characters at most."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        yield Path(name)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start it with all its files below `folder`."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), "sim", "--real", *arguments],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def no_process_of(folder: Path) -> bool:
    """Whether no process of any controller below `folder` lives."""
    return not any(left_behind(run) for run in folder.iterdir())


def test_the_promises_hold_on_real_parts(folder: Path) -> None:
    """Faults by real signals on two controllers, etcd, Heat and agents: everything converges, every revision of etcd's
    history keeps the promises, and afterwards there is no process and no file."""
    run = start(folder, "--seed", "4", "--minutes", MINUTES, "--resources", "10", "--calm", "300")
    said, _ = run.communicate()
    assert run.returncode == 0, said
    faults = re.search(r"(\d+) faults of (\d+) kinds", said)
    assert faults is not None, said
    assert int(faults[2]) >= 3
    for promise in (
        "Accounted",
        "SingleWriter",
        "Fencing",
        "VersionOrder",
        "NoLies",
        "Outcomes",
        "NothingLeft",
    ):
        checked = re.search(rf"{promise} +(\d+)", said)
        assert checked is not None
        assert int(checked[1]) > 0, said
    assert list(folder.iterdir()) == []


def test_a_planted_bug_is_told_with_its_story(folder: Path) -> None:
    """Controllers that write without their fence are caught by etcd's history: exit code, writer, revision, and a
    folder with history and logs."""
    bug = ("--mutant", "no fence", "--mean", "1000", "--controllers", "1", "--calm", "600")
    run = start(folder, "--seed", "4", "--minutes", "0.5", "--resources", "6", *bug)
    said, _ = run.communicate()
    assert run.returncode == 10, said
    assert "SingleWriter" in said
    assert re.search(r"rev \d+ by c\d\.\d: /", said), said
    kept = re.search(r"kept: (\S+)", said)
    assert kept is not None
    assert {"history.jsonl", "story.txt", "c0.1.log"} <= {one.name for one in Path(kept[1]).iterdir()}
    assert "--seed 4" in said
    assert no_process_of(folder)


def test_ctrl_c_leaves_nothing(folder: Path) -> None:
    """In the midst of the faults, with processes that stand still: it ends, and nothing of it is left."""
    run = start(folder, "--seed", "4", "--minutes", "5", "--resources", "6", "--mean", "0.4")
    assert run.stdout is not None
    for line in run.stdout:
        faults = re.search(r"; (\d+) faults", line)
        if faults is not None and int(faults[1]) > 5:
            break
    run.send_signal(signal.SIGINT)
    said = run.stdout.read()
    run.stdout.close()
    assert run.wait(120) == 130, said
    eventually(lambda: no_process_of(folder), 5.0, "no process is left")
    assert list(folder.iterdir()) == []


def test_the_same_seed_deals_the_same_faults() -> None:
    """Faults, their order, strength and distance follow from the seed; every kind has come once all are dealt."""

    def dealt(seed: int, count: int) -> list[object]:
        deck = Deck(seed, mean_s=1.0, cluster=True, safe_only=False)
        strikes = deck.deal()
        return [next(strikes) for _ in range(count)]

    size = Deck(1, mean_s=1.0, cluster=True, safe_only=False).size
    assert dealt(1, 2 * size) == dealt(1, 2 * size)
    assert dealt(1, size) != dealt(2, size)
    assert {one.kind for one in dealt(1, size)} == {kind.name for kind in KINDS}  # type: ignore[attr-defined]


def test_an_etcd_that_forgets_is_not_killed() -> None:
    """Where etcd loses acknowledged writes when killed, it is not; and one member has no leader to lose."""
    kinds = {kind.name for kind in Deck(1, mean_s=1.0, cluster=False, safe_only=True).kinds}
    assert "pause etcd" in kinds
    assert not kinds & {"kill etcd", "kill leader", "pause majority"}
