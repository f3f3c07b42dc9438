"""`python run.py test`: every check of the project, with a summary.

Guarantees: standard library only; the exit code is 0 only if all passed; arguments go to pytest. The quiet
checks run side by side. After them comes the simulator, which has all cores for itself, and then pytest, which
spreads its files over PROCESSES: most tests wait for real parts. With arguments there is no simulator, and pytest is
one process, so that a debugger can be used. Bytecode is kept in the tree, whatever the environment says: hundreds of
processes of ours are started, and none shall compile anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from config.bootstrap import ROOT
from config.installer import die_with_parent

#: Of pytest, where everything is run. A file stays in one process: its tests share what they started.
PROCESSES = 3
#: What the simulator plays where everything is run: two minutes on two cores, six at most.
SIMULATED = ("--seeds", "1..500", "--resources", "40", "--minutes", "6")
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Check:
    """One tool: what it is called in the summary and what is run. `quiet`: beside others, output only if it failed."""

    name: str
    command: tuple[str, ...]
    quiet: bool = True


def checks(pytest_arguments: list[str]) -> list[Check]:
    """All checks: the quiet ones, which run side by side, and the others, one after the other."""
    python = (sys.executable, "-m")
    lint_imports = (
        "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    )
    # in the order of collection: tests/conftest.py puts the longest files first, xdist would put them last
    everything = ("-n", str(PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder")
    # rewriting and compiling the tests takes longer than importing them; each of the processes would do it
    collection = Check("collection", (*python, "pytest", "--collect-only", "-q"))
    simulator = Check("simulator", (sys.executable, "run.py", "sim", *SIMULATED), quiet=False)
    return [
        Check("ruff check", (*python, "ruff", "check", ".")),
        Check("ruff format", (*python, "ruff", "format", "--check", ".")),
        Check("mypy", (*python, "mypy")),
        Check("import-linter", (sys.executable, "-c", lint_imports)),
        # a real Heat for the contract tests, which skip themselves where none can be had
        Check("real Heat", (*python, "sim.real_heat.environment")),
        *([] if pytest_arguments else [collection, simulator]),
        Check("pytest", (*python, "pytest", *(pytest_arguments or everything)), quiet=False),
    ]


def run_checks(pytest_arguments: list[str]) -> int:
    """Run all checks, also after a failure. Returns 0 if every one passed, else 1 (130 if interrupted)."""
    listed = checks(pytest_arguments)
    results: list[tuple[Check, int, float]] = []
    try:
        for stage in ([c for c in listed if c.quiet], *([c] for c in listed if not c.quiet)):
            running = [_Running(check) for check in stage]
            while running:
                time.sleep(_LOOK_S)
                ended = [one for one in running if one.ended()]
                running = [one for one in running if one not in ended]
                results += [one.told() for one in ended]
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return 130
    results.sort(key=lambda result: listed.index(result[0]))
    print("\nSummary")
    for result in results:
        print("  " + _line(*result))
    return int(any(code for _, code, _ in results))


class _Running:
    """One check under way; it dies with us."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._started = time.monotonic()
        self._output = tempfile.TemporaryFile() if check.quiet else None  # noqa: SIM115 - closed in told
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            check.command,
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT if check.quiet else None,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread exists
        )

    def ended(self) -> bool:
        return self._process.poll() is not None

    def told(self) -> tuple[Check, int, float]:
        """The result, after a line on it and, if it failed, what it said."""
        code = self._process.wait()
        result = (self._check, code, time.monotonic() - self._started)
        if self._output is not None:
            with self._output as output:
                output.seek(0)
                if code:
                    print(output.read().decode(errors="replace"), end="")
            print(_line(*result), flush=True)
        return result


def _line(check: Check, code: int, seconds: float) -> str:
    return f"{check.name:<14} {'passed' if code == 0 else f'FAILED ({code})':<12} {seconds:6.1f} s"
