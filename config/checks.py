"""`python run.py test`: every check of the project, one after the other, with a summary.

Guarantees: standard library only; the exit code is 0 only if all passed; arguments go to pytest.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

from config.bootstrap import ROOT
from config.installer import die_with_parent


@dataclass(frozen=True, slots=True)
class Check:
    """One tool: what it is called in the summary and what is run. `quiet`: output only if it failed."""

    name: str
    command: tuple[str, ...]
    quiet: bool = True


def checks(pytest_arguments: list[str]) -> list[Check]:
    """All checks in the order in which they run: the quick ones first."""
    python = (sys.executable, "-m")
    lint_imports = (
        "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    )
    return [
        Check("ruff check", (*python, "ruff", "check", ".")),
        Check("ruff format", (*python, "ruff", "format", "--check", ".")),
        Check("mypy", (*python, "mypy")),
        Check("import-linter", (sys.executable, "-c", lint_imports)),
        # a real Heat for the contract tests, which skip themselves where none can be had
        Check("real Heat", (*python, "sim.real_heat.environment")),
        Check("pytest", (*python, "pytest", *pytest_arguments), quiet=False),
    ]


def run_checks(pytest_arguments: list[str]) -> int:
    """Run all checks, also after a failure. Returns 0 if every one passed, else 1 (130 if interrupted)."""
    results: list[tuple[Check, int, float]] = []
    try:
        for check in checks(pytest_arguments):
            started = time.monotonic()
            code = _run(check)
            results.append((check, code, time.monotonic() - started))
            if check.quiet:
                print(_line(*results[-1]), flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return 130
    print("\nSummary")
    for result in results:
        print("  " + _line(*result))
    return int(any(code for _, code, _ in results))


def _run(check: Check) -> int:
    output = subprocess.PIPE if check.quiet else None
    done = subprocess.run(  # noqa: S603 - our own command
        check.command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if check.quiet else None,
        text=True,
        check=False,
        preexec_fn=die_with_parent,
    )
    if done.returncode and check.quiet:
        print(done.stdout, end="")
    return done.returncode


def _line(check: Check, code: int, seconds: float) -> str:
    return f"{check.name:<14} {'passed' if code == 0 else f'FAILED ({code})':<12} {seconds:6.1f} s"
