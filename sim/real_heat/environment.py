"""The Python environment in which a real Heat runs: made once from hashed pins, kept beside ours.

Guarantees: two makers at once share one installation; a torso that an interruption left is thrown away; pip and
what it starts die with us; nothing is written outside the folder. Does not guarantee that packages can be
fetched: `NoRealHeatError` says what went wrong in one line. `python -m sim.real_heat.environment` makes it now.
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
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
#: What builds, then what is built and run. Both carry the hash of every file.
_LOCKS = (_ROOT / "requirements-build.lock", Path(__file__).with_name("requirements.lock"))
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


class NoRealHeatError(RuntimeError):
    """The environment cannot be made here. The text is one line."""


def default_folder() -> Path:
    """Beside the environment that runs us, so that it goes away together with it."""
    return Path(sys.prefix) / "real-heat"


def heat_python(folder: Path | None = None, say: Say = lambda text: None) -> Path:
    """The interpreter that has Heat; the first call takes about 40 s. Raises NoRealHeatError."""
    folder = folder or default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / "lock"):
            venv = folder / f"venv-{_fingerprint()}"
            stamp = venv / "complete"
            if not stamp.exists():
                say("installing OpenStack Heat into an environment of its own, once (about a minute)")
                _install(folder, venv)
                stamp.touch()
            return venv / "bin" / "python"
    except OSError as error:
        raise NoRealHeatError(f"no real Heat: {folder}: {error}") from error


def _fingerprint() -> str:
    """Other pins or another Python make another environment."""
    digest = hashlib.sha256(sys.version.encode())
    for lock in _LOCKS:
        digest.update(lock.read_bytes())
    return digest.hexdigest()[:12]


def _install(folder: Path, venv: Path) -> None:
    for old in folder.glob("venv-*"):
        shutil.rmtree(old)
    base = str(getattr(sys, "_base_executable", "") or sys.executable)
    _run([base, "-m", "venv", str(venv)], venv)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    _run([*pip, "--only-binary", ":all:", "-r", str(_LOCKS[0])], venv)
    _run([*pip, "--no-build-isolation", "-r", str(_LOCKS[1])], venv)


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
        print(heat_python(say=print))
    except NoRealHeatError as problem:
        print(problem)
        sys.exit(required())
