"""The lock files, and the command that runs every check."""

from __future__ import annotations

import sys
import tomllib

import pytest

from config import bootstrap, checks
from config.bootstrap import ROOT
from tests.conftest import LONGEST


@pytest.mark.parametrize("name", [bootstrap.RUNTIME_LOCK, bootstrap.DEV_LOCK, bootstrap.BUILD_LOCK])
def test_the_locks_are_complete(name):
    """Every pin is exact and hashed, and no lock names where packages come from."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    pins = [at for at, line in enumerate(lines) if not line.startswith(" ")]
    for at in pins:
        assert "==" in lines[at]
        assert lines[at + 1].strip().startswith("--hash=sha256:")


def test_the_locks_pin_what_pyproject_asks_for():
    """Runtime and tools lock satisfy every requirement, and agree where they overlap."""

    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / name).read_text().splitlines()
        found = [line.split()[0].split("==") for line in lines if "==" in line and not line.startswith("#")]
        return {package: version for package, version in found}  # noqa: C416 - two elements each

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, dev = pins(bootstrap.RUNTIME_LOCK), pins(bootstrap.DEV_LOCK)
    assert runtime.items() <= dev.items()
    for wanted, locked in (
        (project["project"]["dependencies"], runtime),
        (project["dependency-groups"]["dev"], dev),
    ):
        for requirement in wanted:
            package, bounds = bootstrap._split(requirement)
            version = locked[package.lower()]
            assert all(bootstrap._holds(version, bound) for bound in bounds), requirement


@pytest.mark.parametrize(
    ("version", "bound", "holds"),
    [
        ("1.85.1", ">=1.85", True),
        ("1.84", ">=1.85", False),
        ("2", "<2", False),
        ("1.99.9", "<2", True),
        ("4.0.1", "==4.0.1", True),
        ("4.0.1.0", "==4.0.1", True),
        ("4.0.2", "==4.0.1", False),
    ],
)
def test_version_bounds(version, bound, holds):
    """The bounds of pyproject.toml are compared as release numbers."""
    assert bootstrap._holds(version, bound) is holds


def test_all_checks_run_and_one_failure_fails(monkeypatch, capfd):
    """A failing check shows its output and does not hide the others; the exit code is 1."""
    python = sys.executable
    monkeypatch.setattr(
        checks,
        "checks",
        lambda _arguments: [
            checks.Check("good", (python, "-c", "print('unseen')")),
            checks.Check("bad", (python, "-c", "print('because'); raise SystemExit(4)")),
            checks.Check("last", (python, "-c", "print('loud')"), quiet=False),
        ],
    )
    assert checks.run_checks([]) == 1
    out = capfd.readouterr().out
    assert "unseen" not in out
    assert "because" in out
    assert "loud" in out
    summary = out.split("Summary")[1].splitlines()
    assert [line.split()[:2] for line in summary[1:]] == [
        ["good", "passed"],
        ["bad", "FAILED"],
        ["last", "passed"],
    ]


def test_what_takes_all_cores_runs_alone(monkeypatch, tmp_path):
    """The simulator has ended before pytest begins."""
    mark = tmp_path / "ended"
    first = f"import time, pathlib; time.sleep(0.3); pathlib.Path({str(mark)!r}).touch()"
    second = f"import pathlib; raise SystemExit(not pathlib.Path({str(mark)!r}).exists())"
    commands = [(sys.executable, "-c", text) for text in (first, second)]
    monkeypatch.setattr(
        checks, "checks", lambda _arguments: [checks.Check("x", one, quiet=False) for one in commands]
    )
    assert checks.run_checks([]) == 0


def test_pytest_gets_the_arguments():
    """What follows `test` goes to pytest, and only there; the simulator is for where everything is run."""
    commands = {check.name: check.command for check in checks.checks(["-k", "seed"])}
    assert commands["pytest"][-2:] == ("-k", "seed")
    assert [name for name, command in commands.items() if "seed" in command] == ["pytest"]
    assert "simulator" not in commands
    names = [check.name for check in checks.checks([])]
    assert names[-2:] == ["simulator", "pytest"]


def test_what_is_begun_first_is_there(request):
    """The files that are to be begun first exist, each once, and this run has them in that order."""
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)
    files = [item.nodeid.partition("::")[0].removeprefix("tests/") for item in request.session.items]
    begun = list(dict.fromkeys(name for name in files if name in LONGEST))
    assert begun == [name for name in LONGEST if name in begun]


def test_bytecode_is_kept_whatever_the_environment_says(monkeypatch, capfd):
    """What is run writes bytecode, so that the many processes of the tests do not compile anew."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    told = (sys.executable, "-c", "import sys; print('kept:', not sys.dont_write_bytecode)")
    monkeypatch.setattr(checks, "checks", lambda _arguments: [checks.Check("one", told, quiet=False)])
    assert checks.run_checks([]) == 0
    assert "kept: True" in capfd.readouterr().out
