"""Makes sure that the running Python has the dependencies: the first thing `run.py` does.

Guarantees: standard library only. Packages come from the hashed lock files and nowhere else. A `.venv` is
used only when its stamp (written last) carries the hash of the present lock, so an install that was
interrupted at any point, also by `kill -9`, is done again from scratch at the next start. Two starts at once
share one install. An environment that already satisfies `pyproject.toml` is used as it is.
Does not guarantee that a package which is present can be imported: its recorded version is what is looked at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
#: `<lock file name> <sha256>` per line: what is completely installed.
STAMP = VENV / "gatewright.stamp"
#: There from before the first package until after the stamp: whoever finds it finds a torso of ours.
BUILDING = VENV / "gatewright.building"
BUILD_LOCK = "requirements-build.lock"
RUNTIME_LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"
OTEL_LOCK = "requirements-otel.lock"
#: Set across the exec, to tell a broken environment from an endless loop.
_HANDED_OVER = "GATEWRIGHT_HANDED_OVER"


def prepare(*, dev: bool = False) -> None:
    """Return when this interpreter has the dependencies, else install them into `.venv` and go on there.

    `dev`: the test tools too. Does not return where it re-executes `run.py` inside `.venv`. Raises
    SystemExit with one sentence if the environment cannot be made.
    """
    handed_over = os.environ.pop(_HANDED_OVER, "") == "1"
    inside = VENV.exists() and Path(sys.prefix).resolve() == VENV.resolve()
    if handed_over and inside:  # looked at a moment ago, by the start that handed over
        return
    ready = installed(dev=dev)
    if inside and ready:
        return
    # The stamp answers in a millisecond. Only without it, or in somebody's active environment, look closer.
    own_env = sys.prefix != sys.base_prefix and not inside
    if (own_env or not ready) and not (inside and BUILDING.exists()) and not lacking(sys.path, dev=dev):
        return
    if handed_over:
        sys.exit(f"error: {PYTHON} does not use the packages of {VENV}; remove that folder and start again.")
    if not ready:
        from config.installer import install

        install(dev=dev)
    os.environ[_HANDED_OVER] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(PYTHON, [str(PYTHON), str(ROOT / "run.py"), *sys.argv[1:]])  # noqa: S606 - no shell wanted


def installed(*, dev: bool) -> bool:
    """Whether `.venv` is ours, complete and made from the lock files as they are now."""
    try:
        lines = STAMP.read_text().split("\n")
        return not BUILDING.exists() and PYTHON.exists() and set(stamp_lines(dev=dev)) <= set(lines)
    except OSError:
        return False


def stamp_lines(*, dev: bool) -> list[str]:
    """What the stamp says when everything is installed."""
    import hashlib

    names = (RUNTIME_LOCK, DEV_LOCK) if dev else (RUNTIME_LOCK,)
    return [f"{name} {hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}" for name in names]


def lacking(paths: Sequence[str], *, dev: bool) -> list[str]:
    """The requirements of `pyproject.toml` that the packages under `paths` do not satisfy.

    `dev`: those of the test tools and of all extras too.
    """
    project = _project()
    wanted = list(project["project"]["dependencies"])
    if dev:
        wanted += project["dependency-groups"]["dev"]
        wanted += [
            one for extra in project["project"].get("optional-dependencies", {}).values() for one in extra
        ]
    return _missing(wanted, paths)


def lacking_extra(extra: str) -> list[str]:
    """The requirements of an extra of `pyproject.toml` that this interpreter's packages do not satisfy."""
    return _missing(_project()["project"]["optional-dependencies"][extra], sys.path)


def _project() -> dict[str, Any]:
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def _missing(wanted: Sequence[str], paths: Sequence[str]) -> list[str]:
    from importlib.metadata import Distribution

    missing = []
    for requirement in wanted:
        name, bounds = _split(requirement)
        found = next(iter(Distribution.discover(name=name, path=list(paths))), None)
        if found is None or not all(_holds(found.version, bound) for bound in bounds):
            missing.append(requirement)
    return missing


def _split(requirement: str) -> tuple[str, list[str]]:
    """`"grpcio>=1.85,<2"` → `("grpcio", [">=1.85", "<2"])`: the only form that our pyproject uses."""
    import re

    match = re.fullmatch(r"([A-Za-z0-9._-]+)(.*)", requirement.replace(" ", ""))
    if match is None:
        raise ValueError(f"pyproject.toml: cannot read the requirement {requirement!r}")
    return match[1], [bound for bound in match[2].split(",") if bound]


def _holds(version: str, bound: str) -> bool:
    """Compare release numbers, as far as they are given: `6.0.12` satisfies `>=6`."""
    import re

    match = re.fullmatch(r"(==|>=|<)([0-9.]+)", bound)
    if match is None:
        raise ValueError(f"pyproject.toml: cannot read the version bound {bound!r}")
    operator, limit = match.groups()
    have, want = (tuple(int(part) for part in re.findall(r"\d+", text)) for text in (version, limit))
    width = max(len(have), len(want))
    have, want = (numbers + (0,) * (width - len(numbers)) for numbers in (have, want))
    return {"==": have == want, ">=": have >= want, "<": have < want}[operator]
