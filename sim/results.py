"""`sim/RESULTS.md`: what a long run came to, written by the run itself.

Guarantees: every figure is one that a run counted or measured, with the commit, the command and the Python that it
ran on; a run that found something says so in its first line. Each profile and size has a part of its own, which the
next run of that kind overwrites.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from actors.core.machine import TABLE
from sim.faults import KINDS
from sim.invariants import ALL
from sim.tally import UNREACHED, Tally

_PART = "\n## "
_HEAD = """# Results of the simulator

Written by the runs themselves; see `config/docs/development.md`."""

FILE = Path(__file__).with_name("RESULTS.md")
_ROOT = FILE.parents[1]


def write(
    kind: str, tally: Tally, seconds: float, arguments: Sequence[str], jobs: int, file: Path = FILE
) -> None:
    """Write the part of that kind of run. `seconds`: wall time of the run."""
    _, *parts = (file.read_text() if file.exists() else "").split(_PART)
    others = [part.rstrip("\n") for part in parts if part.partition("\n")[0] != kind]
    mine = f"{kind}\n\n{text(tally, seconds, arguments, jobs, commit())}".rstrip("\n")
    file.write_text(_HEAD + "\n" + "".join(f"{_PART}{part}\n" for part in sorted([*others, mine])))


def commit() -> str:
    """The commit of the working tree, and whether anything differs from it; "unknown" where there is no git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = [
            line for line in _git("status", "--porcelain").splitlines() if not line.endswith(FILE.name)
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head} with {len(changed)} changed files" if changed else head


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - fixed words
        ["git", *arguments],  # noqa: S607 - whichever git the developer has
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def text(tally: Tally, seconds: float, arguments: Sequence[str], jobs: int, ran_on: str) -> str:
    """What one run came to."""
    rate = tally.finals / max(seconds, 1e-9)
    faults = sum(tally.hits.values())
    taken = sum(1 for each in TABLE if tally.transitions[each])
    lines = [
        f"**{len(tally.failures)} violations** in {tally.seeds:,} seeds.",
        "",
        "| what | figure |",
        "|---|---|",
        f"| command | `python run.py sim {' '.join(arguments)}` |",
        f"| commit | {ran_on} |",
        f"| Python | {platform.python_version()}, {jobs} processes |",
        f"| seeds | {tally.seeds:,} |",
        f"| resources declared | {tally.resources:,} |",
        f"| resources brought to their end (outcomes written) | {tally.finals:,} |",
        f"| faults injected | {faults:,} |",
        f"| virtual time | {tally.virtual_s / 86400:,.1f} days |",
        f"| wall time | {seconds / 60:,.1f} min: {rate:,.0f} outcomes/s in all |",
        f"| events handled | {tally.events:,} |",
        f"| transitions of the job machine | {taken} of {len(TABLE)}; {len(UNREACHED)} not asked for |",
        f"| requests to Heat by former owners (those that had left already) | {tally.former_owners:,} |",
    ]
    lines += ["", "### Violations", ""]
    lines += [f"- seed {one.case.seed}: {one.violation}" for one in tally.failures] or ["None."]
    lacking = tally.lacking()
    if lacking:
        lines += ["", "### Never occurred", "", *(f"- {one}" for one in lacking)]
    lines += ["", "### Faults", "", "| kind | injected | in seeds | what happens |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {tally.hits[name]:,} | {tally.seeds_with[name]:,} | {kind.what} |"
        for name, kind in KINDS.items()
    ]
    lines += ["", "### Promises", "", "| promise | checked |", "|---|---|"]
    lines += [f"| {each.__name__} | {tally.checks[each.__name__]:,} |" for each in ALL]
    return "\n".join(lines) + "\n"
