"""The recorded runs of the original system, played through the real product."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TRACES = ROOT.parent / "shared" / "traces"
RUNS = sorted(str(path.parent.relative_to(TRACES)) for path in TRACES.glob("*/*/events.jsonl"))

pytestmark = pytest.mark.skipif(not RUNS, reason="no recorded runs at ../shared/traces")

#: Jobs and Heat requests of each run, by its index: what must have been compared.
COUNTS = {
    "new/00_logical_network": (7, 7),
    "new/01_common_function_gateway": (16, 16),
    "new/03_vpn_gateway": (22, 22),
    "old/00_logical_network": (7, 7),
    "old/01_common_function_gateway": (31, 12),
    "old/03_vpn_gateway": (42, 16),
    "old/05_load_balancer": (32, 32),
}


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    """What one command says of all runs, one after the other."""
    folders = [str(TRACES / run) for run in RUNS]
    command = [sys.executable, str(ROOT / "run.py"), "replay", *folders, "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60 + 90 * len(RUNS), cwd=ROOT, check=False
    )
    assert done.stdout, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == int(any(report["unexplained"] for report in found.values()))
    return found


@pytest.mark.timeout(120 + 90 * len(RUNS))
@pytest.mark.parametrize("run", RUNS)
def test_a_recorded_run_is_reproduced(run: str, reports: dict[str, dict[str, Any]]) -> None:
    """On a real etcd under real processes every job, request and value is as recorded, but for what was decided."""
    report = reports[run]
    assert [d for d in report["differences"] if not d["decision"]] == []
    compared = report["compared"]["jobs"], report["compared"]["heat requests"]
    assert compared == COUNTS.get(run, compared)
    assert min(compared) > 0
    assert report["compared"]["state"] > 0


def test_what_is_no_recording_is_one_error(tmp_path: Path) -> None:
    """A folder without a recording is refused in one line with exit code 2."""
    command = [sys.executable, str(ROOT / "run.py"), "replay", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(tmp_path) in done.stderr


def copied(tmp_path: Path) -> tuple[Path, list[dict[str, Any]]]:
    """A copy of a run without its events, and these."""
    source = TRACES / "new" / "00_logical_network"
    target = tmp_path / "run"
    target.mkdir()
    (tmp_path / "gohan_schemas.json").write_text((TRACES / "new" / "gohan_schemas.json").read_text())
    for name in ("config.json", "heat_requests.json"):
        (target / name).write_text((source / name).read_text())
    return target, [json.loads(line) for line in (source / "events.jsonl").read_text().splitlines()]


def test_what_the_watcher_lost_is_no_difference(tmp_path: Path) -> None:
    """A recording that lacks a job, the record of a stack, an outcome, a result and a rendered template is played; each
    is told."""
    target, lines = copied(tmp_path)
    requests = json.loads((target / "heat_requests.json").read_text())
    del requests["requests"][0]["template"]
    (target / "heat_requests.json").write_text(json.dumps(requests))
    missing: dict[str, list[str]] = {"state_set": [], "job_state_compareAndSwap": []}
    for action, beginning, kind in (
        ("set", "/jobs/all/create:heat_worker:network", ""),
        ("set", "/esi-worker/heat_stacks/v2.0/subnets/", ""),
        ("set", "/state/v2.0/ports/", "state_set"),
        ("compareAndSwap", "/esi-worker/job_state/v2.0/ese_logical_ports/", "job_state_compareAndSwap"),
    ):
        lost = next(e for e in lines if e["action"] == action and e["key"].startswith(beginning))
        lines.remove(lost)
        if kind:
            missing[kind].append(lost["key"])
    (target / "events_meta.json").write_text(json.dumps({"known_missing": missing}))
    (target / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = [sys.executable, str(ROOT / "run.py"), "replay", str(target), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)
    (report,) = json.loads(done.stdout).values()
    assert report["unexplained"] == done.returncode == 0, report
    told = [each["kind"] for each in report["differences"] if each["decision"] == "lost-by-watcher"]
    assert sorted(told) == ["heat requests", "heat_stacks", "job_state", "jobs", "state"]


def test_a_difference_is_told(tmp_path: Path) -> None:
    """A recording that says something else than what happens fails, and names the resource and the member."""
    target, lines = copied(tmp_path)
    job = next(
        e["value"][1] for e in lines if e["key"].startswith("/jobs/all/") and isinstance(e["value"], list)
    )
    assert job["is_last"] is True
    job["is_last"] = False
    (target / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = [sys.executable, str(ROOT / "run.py"), "replay", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "is_last: recorded false, ours true" in done.stdout
