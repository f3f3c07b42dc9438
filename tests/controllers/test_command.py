"""`python run.py controller`: one of several, on what is configured, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.core.ownership import SHARDS, VSHARDS
from tests.contract.etcd_worlds import ROOT, until
from tests.controllers.conftest import Stage
from tests.controllers.test_ownership import PATIENCE_S


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """A clean one, with these settings."""
    (folder / "home").mkdir(exist_ok=True)
    given = {f"GATEWRIGHT_{name}": value for name, value in settings.items()}
    return {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), **given}


def command(folder: Path, name: str) -> list[str]:
    """The command line of one controller."""
    return [sys.executable, str(ROOT / "run.py"), "--state-dir", str(folder / name), "controller"]


@pytest.mark.parametrize("missing", ["etcd", "heat"])
def test_what_is_not_configured_is_refused(missing: str, tmp_path: Path) -> None:
    """Without an etcd or a Heat there is one line that names the setting, and exit code 2."""
    settings = {"ETCD__ENDPOINTS": '["http://127.0.0.1:1"]'} if missing == "heat" else {}
    done = subprocess.run(
        command(tmp_path, "one"),
        env=environment(tmp_path, **settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"set {missing}." in done.stderr


def test_two_of_them_share_and_one_stops(stage: Callable[..., Stage], tmp_path: Path) -> None:
    """They find each other in etcd, declare nothing, build what is declared, and hand over when asked to stop."""
    play = stage(seconds=0.2)
    settings = environment(
        tmp_path,
        ETCD__ENDPOINTS=f'["http://{play.etcd.endpoint}"]',
        HEAT__ENDPOINT=play.heat.url + "/v1",
        LOG__FORMAT="json",
    )
    running = []
    try:
        for name in ("one", "two"):
            with (tmp_path / f"{name}.out").open("wb") as out:
                running.append(
                    subprocess.Popen(
                        command(tmp_path, name), env=settings, cwd=tmp_path, stdout=out, stderr=out
                    )
                )
        until(
            lambda: len(play.history.holders()) == 2 and sum(play.history.holders().values()) == VSHARDS, 60
        )
        assert [key for key in play.history.values if key.startswith("/config/")] == []
        play.declare(30)
        until(lambda: play.history.done(play.refs) and not play.history.open_jobs(), 60)
        stopped = time.monotonic()
        running[0].send_signal(signal.SIGTERM)
        until(lambda: list(play.history.holders().values()) == [VSHARDS], 60)
        taken = [c.seen_s for c in play.history.changes() if c.key.startswith(SHARDS) and c.value is not None]
        given = [c.seen_s for c in play.history.changes() if c.key.startswith(SHARDS) and c.value is None]
        assert max(taken) - max(g for g in given if g > stopped) < PATIENCE_S
        assert running[0].wait(60) == 0
    finally:
        for one in running:
            one.send_signal(signal.SIGTERM)
        codes = [one.wait(60) for one in running]
    assert codes == [0, 0]
