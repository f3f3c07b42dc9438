"""The Python environments in which a real Heat and a real Keystone run: made once from hashed pins, beside ours.

Guarantees: two makers at once share one installation; a torso that an interruption left is thrown away; pip and
what it starts die with us; nothing is written outside the folder. Does not guarantee that packages can be
fetched: `NoRealHeatError` says what went wrong in one line. `python -m sim.real_heat.environment` makes that of
Heat now, `… keystone` both.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
#: What builds: it carries the hash of every file, as what is built and run does.
_BUILDERS = _ROOT / "requirements-build.lock"
_TIMEOUT_S = 600.0
_STRAYS = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME")
#: Runs in place of the command that follows it. Not a preexec_fn: our process may have threads.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

#: Where this variable is set, tests may not do without the real Heat.
REQUIRED = "GATEWRIGHT_REAL_HEAT_REQUIRED"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """What is installed, and the folder that holds it beside the environment that runs us, so that it goes away
    together with it."""

    what: str
    folder: str
    lock: Path


HEAT = Environment("Heat", "real-heat", Path(__file__).with_name("requirements.lock"))
KEYSTONE = Environment("Keystone", "real-keystone", _ROOT / "sim" / "real_keystone" / "requirements.lock")


class NoRealHeatError(RuntimeError):
    """The environment cannot be made here. The text is one line."""


def heat_python(folder: Path | None = None, say: Say = lambda text: None) -> Path:
    """The interpreter that has Heat; the first call takes about 40 s. Raises NoRealHeatError."""
    return python_of(HEAT, folder, say)


def prepared(environment: Environment) -> bool:
    """Whether it is installed already."""
    return (_venv(environment, Path(sys.prefix) / environment.folder) / "complete").exists()


def python_of(environment: Environment, folder: Path | None = None, say: Say = lambda text: None) -> Path:
    """The interpreter of that environment; the first call installs it. Raises NoRealHeatError."""
    folder = folder or Path(sys.prefix) / environment.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / "lock"):
            venv = _venv(environment, folder)
            stamp = venv / "complete"
            if not stamp.exists():
                say(
                    f"installing OpenStack {environment.what} into an environment of its own, once (about a minute)"
                )
                _install(folder, venv, environment.lock)
                stamp.touch()
            return venv / "bin" / "python"
    except OSError as error:
        raise NoRealHeatError(f"no real Heat: {folder}: {error}") from error


def _venv(environment: Environment, folder: Path) -> Path:
    """Other pins or another Python make another environment."""
    digest = hashlib.sha256(sys.version.encode())
    for lock in (_BUILDERS, environment.lock):
        digest.update(lock.read_bytes())
    return folder / f"venv-{digest.hexdigest()[:12]}"


def _install(folder: Path, venv: Path, lock: Path) -> None:
    for old in folder.glob("venv-*"):
        shutil.rmtree(old)
    base = str(getattr(sys, "_base_executable", "") or sys.executable)
    _run([base, "-m", "venv", str(venv)], venv)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    _run([*pip, "--only-binary", ":all:", "-r", str(_BUILDERS)], venv)
    _run([*pip, "--no-build-isolation", "-r", str(lock)], venv)


def _run(command: Sequence[str], venv: Path) -> None:
    """One step of the installation. Raises NoRealHeatError with the last line of what it said."""
    temporary = venv.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name not in _STRAYS}
    environment = {
        **kept,
        "TMPDIR": str(temporary),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }
    wrapped = [sys.executable, "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            wrapped,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NoRealHeatError(f"no real Heat: {command[2]} took longer than {_TIMEOUT_S:.0f} s") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise NoRealHeatError(f"no real Heat: {command[2]} ended with {done.returncode}: {said[-1]}")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def required() -> bool:
    """Whether a real Heat that cannot be had is a failure (in CI) and not a reason to skip tests."""
    return bool(os.environ.get(REQUIRED))


if __name__ == "__main__":
    try:
        for wanted in (HEAT, *([KEYSTONE] if sys.argv[1:] == ["keystone"] else [])):
            print(python_of(wanted, say=print))
    except NoRealHeatError as problem:
        print(problem)
        sys.exit(required())
