"""`python run.py replay DIR… [--json]`: recorded runs against the product; exit code 0 only if nothing differs
but what was decided."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim.replay.compare import DECISIONS, Report, compare
from sim.replay.conductor import Conductor
from sim.replay.recording import load


def main(arguments: Sequence[str]) -> int:
    """Replay each folder. Returns 0 (nothing unexplained), 1 (differences) or 2 (not a recorded run)."""
    parser = argparse.ArgumentParser(prog="run.py replay", description="Replay recorded runs and compare.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a run as INDEX.md describes it")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parsed = parser.parse_args(arguments)
    reports: dict[str, Report] = {}
    for folder in parsed.folders:
        try:
            run = load(folder.resolve())
        except (OSError, ValueError, KeyError) as error:
            print(
                f"gatewright: {folder} is not a recorded run: {type(error).__name__}: {error}",
                file=sys.stderr,
            )
            return 2
        with tempfile.TemporaryDirectory(prefix="gatewright-replay-") as temporary:
            played = Conductor(run, Path(temporary)).play()
        reports[run.name] = compare(run, played)
        if not parsed.json:
            _show(run.name, reports[run.name], played.seconds)
    if parsed.json:
        print(json.dumps({name: _plain(report) for name, report in reports.items()}, indent=1))
    return int(any(report.unexplained for report in reports.values()))


def _show(name: str, report: Report, seconds: float) -> None:
    compared = ", ".join(f"{number} {kind}" for kind, number in report.compared.items())
    print(f"{name}: compared {compared} in {seconds:.1f} s")
    decided = Counter(d.decision for d in report.differences if d.decision)
    for decision, number in sorted(decided.items()):
        section, text = DECISIONS[decision]
        print(f"  {number:4} x {decision}: {text} (contract {section})")
    for difference in report.unexplained:
        print(f"  DIFFERS {difference.kind}: {difference.where}: {difference.what}")
    print(f"  {len(report.unexplained)} unexplained differences", flush=True)


def _plain(report: Report) -> dict[str, Any]:
    return {
        "compared": dict(report.compared),
        "differences": [
            {"kind": d.kind, "where": d.where, "what": d.what, "decision": d.decision}
            for d in report.differences
        ],
        "unexplained": len(report.unexplained),
    }
