"""The trials of the deployment files as tests: only where GATEWRIGHT_DEPLOY_TRIALS=1, since each takes many minutes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.deploy import container, machine

WANTED = pytest.mark.skipif(
    os.environ.get("GATEWRIGHT_DEPLOY_TRIALS") != "1", reason="takes many minutes: GATEWRIGHT_DEPLOY_TRIALS=1"
)


@WANTED
@pytest.mark.skipif(bool(machine.lacking()), reason=machine.lacking() or "-")
@pytest.mark.timeout(4 * 3600)
def test_the_unit_runs_under_a_systemd() -> None:
    """Under a systemd of its own the unit starts, builds, is fed, reloads, survives and stops as it says."""
    rows = machine.trial(Path(sys.prefix) / "machine", 3 * 3600)
    assert rows
    assert "end" in rows[-1], rows
    assert [row for row in rows if not row.get("ok", True)] == []


@WANTED
@pytest.mark.skipif(bool(container.lacking()), reason=container.lacking() or "-")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("traces", [False, True], ids=["plain", "traces"])
def test_the_recipe_is_built_and_runs(traces: bool) -> None:
    """The image can be made, and builds the example as nobody in particular on a read-only root; it sends traces if it
    was built for them, else says how to have them."""
    store = container.Store(Path(sys.prefix) / "container", traces)
    store.build(os.environ.get("GATEWRIGHT_DEPLOY_BASE", ""))
    said: list[str] = []
    with container.container(store) as here:
        container.trial(here, said.append, traces=traces)
    assert len(said) == (9 if traces else 8)
