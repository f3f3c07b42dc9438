"""The same seed is the same run: whatever the hashes of texts, whoever watches, on every Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sim.play import Player
from sim.story import follow
from sim.world import Case, World

ROOT = Path(__file__).parents[2]
SEEDS = (3, 8, 11)
RESOURCES = 12
CODE = f"""
from sim.play import Player
from sim.world import Case
print(*(Player(Case(seed, {RESOURCES})).run().digest for seed in {SEEDS}))
"""


def digests(python: str, hashes: str = "0") -> list[str]:
    """The digests of SEEDS under that interpreter."""
    environment = {**os.environ, "PYTHONHASHSEED": hashes}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture(scope="module")
def here() -> list[str]:
    """The digests under this interpreter."""
    return digests(sys.executable)


def test_the_hashes_of_texts_decide_nothing(here: list[str]) -> None:
    """Another hash seed, another order of sets: the same events."""
    assert digests(sys.executable, "4711") == here


def test_who_watches_changes_nothing(here: list[str]) -> None:
    """A run that is told as a story is the run that is not told."""

    def watch(world: World) -> None:
        follow(world, None)

    assert [Player(Case(seed, RESOURCES), watch).run().digest for seed in SEEDS] == here


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_python_plays_the_same(version: str, here: list[str]) -> None:
    """3.11, 3.12 and 3.13 have the same digests. `GATEWRIGHT_PYTHONS`: folders with an interpreter each, beside the
    PATH (CI sets it to its environments); an interpreter without the dependencies cannot take part."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} with the dependencies: see GATEWRIGHT_PYTHONS in the docstring")
    assert digests(python) == here


def interpreter(version: str) -> str | None:
    """A Python of that version that can import what the simulation needs."""
    folders = [part for part in os.environ.get("GATEWRIGHT_PYTHONS", "").split(os.pathsep) if part]
    for place in [*folders, os.environ.get("PATH", "")]:
        found = shutil.which(f"python{version}", path=place)
        if found is None:
            continue
        probe = [found, "-c", "import sim.world"]
        if subprocess.run(probe, cwd=ROOT, capture_output=True, check=False).returncode == 0:
            return found
    return None
