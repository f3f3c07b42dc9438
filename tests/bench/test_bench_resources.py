"""The bench itself runs, so that it does not rot; what must hold at any speed is checked, times are not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from sim.etcd_binary import EtcdBinary

ROOT = Path(__file__).parents[2]
SMALL = ("--resources", "12", "--idle", "2", "--devices", "2", "--tenants", "2", "--shards", "2")


def _figure(output: str, name: str) -> float:
    found = re.search(rf"{re.escape(name)}\s+([0-9.]+)", output)
    assert found, output
    return float(found[1])


def test_a_small_run_completes_everything(etcd_binary: EtcdBinary) -> None:
    """Twelve resources over two shards all complete, in few revisions, and a restart writes nothing."""
    command = [sys.executable, "-m", "tests.bench.bench_resources", *SMALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert _figure(done.stdout, "failed") == 0
    assert _figure(done.stdout, "restart, writes") == 0
    assert _figure(done.stdout, "etcd revisions per version, idle") <= 5
    # the switches and their ports, the singles, and those under load
    assert re.search(rf"restart, {2 * 2 + 2 + 12} settled", done.stdout), done.stdout
    assert etcd_binary.path.exists()
