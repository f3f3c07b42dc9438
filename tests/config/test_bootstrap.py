"""`run.py` on a machine that has nothing: real Python, real venv, real pip, packages of our own making.

The index is a folder with two tiny wheels, so nothing here needs a network.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config import bootstrap
from config.bootstrap import ROOT

BARE = str(getattr(sys, "_base_executable", sys.executable))
CLI = """
import sys
def main(arguments, *_services):
    import gwtiny
    print(sys.prefix, gwtiny.VERSION, *arguments)
    return 7
"""

#: Becomes the command, which then ends with us even if we are killed. Not a preexec_fn: we may have threads.
DIE_WITH_PARENT = (
    "import ctypes, os, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)

pytestmark = pytest.mark.skipif(
    not Path(sysconfig.get_path("stdlib"), "ensurepip").is_dir(),
    reason="this Python has no ensurepip to make an environment with",
)


def wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel with one module; returns its line for a lock file."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{file},sha256={digest},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Copy:
    """The project's start-up code in a folder of its own, with a small lock."""

    def __init__(self, root: Path, index: Path, home: Path) -> None:
        self.root, self.index, self.home = root, index, home
        self.venv = root / ".venv"
        shutil.copytree(ROOT / "config", root / "config", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "run.py", root)
        for place, text in (("actors/cli.py", CLI), ("sim/standalone.py", "class Services: pass\n")):
            (root / place).parent.mkdir()
            (root / place).write_text(text)
        (root / "pyproject.toml").write_text(
            '[project]\ndependencies = ["gwtiny==1.0"]\n[dependency-groups]\ndev = ["gwtool>=2,<3"]\n'
        )
        tiny = wheel(index, "gwtiny", "1.0")
        self.lock = root / bootstrap.RUNTIME_LOCK
        self.lock.write_text(tiny)
        (root / bootstrap.DEV_LOCK).write_text(tiny + wheel(index, "gwtool", "2.1"))
        (root / bootstrap.BUILD_LOCK).write_text(wheel(index, "gwbuild", "1.0"))

    def environment(self, **more: str) -> dict[str, str]:
        """An empty one, but for where packages come from."""
        return {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "PIP_CONFIG_FILE": os.devnull,
            **more,
        }

    def begin(self, *arguments: str, python: str = BARE, **more: str) -> subprocess.Popen[str]:
        """Start run.py with nothing but the given Python."""
        return subprocess.Popen(
            [BARE, "-c", DIE_WITH_PARENT, python, str(self.root / "run.py"), *arguments],
            cwd=self.home,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, python: str = BARE, **more: str) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)."""
        with self.begin(*arguments, python=python, **more) as process:
            out, err = process.communicate(timeout=100)
            return process.returncode, out, err


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A fresh copy of the start-up code."""
    folders = [tmp_path / name for name in ("project", "index", "home")]
    for folder in folders:
        folder.mkdir()
    return Copy(*folders)


@pytest.fixture
def begun(copy: Copy, prepared: Copy) -> Copy:
    """A fresh copy with an empty environment, which `run.py` goes on with: pip in it is that of another, as installing
    it costs ten times what these tests do. What makes it from nothing: `prepared`, and what heals a killed install."""
    subprocess.run([BARE, "-m", "venv", "--without-pip", str(copy.venv)], check=True)
    (packages,) = copy.venv.glob("lib/python3*/site-packages")
    for part in prepared.venv.glob("lib/python3*/site-packages/pip*"):
        shutil.copytree(part, packages / part.name)
    return copy


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy that has been started once."""
    base = tmp_path_factory.mktemp("prepared")
    folders = [base / name for name in ("project", "index", "home")]
    for folder in folders:
        folder.mkdir()
    made = Copy(*folders)
    code, out, err = made.run("first")
    assert (code, out.split()) == (7, [str(made.venv), "1.0", "first"]), err
    assert err.startswith("Preparing "), err
    assert "requirements.lock: 1/1" in err
    assert not (made.venv / "tmp").exists()
    return made


def test_a_second_start_installs_nothing(prepared):
    """With the stamp in place the program starts at once, quietly, even without any package source."""
    code, out, err = prepared.run("second", "--flag", PIP_FIND_LINKS="/nowhere")
    assert (code, out.split()[1:], err) == (7, ["1.0", "second", "--flag"], "")


def test_a_second_start_adds_little_time(prepared):
    """Reading the stamp and handing over costs far less than any install step could."""
    best = min(timed(lambda: prepared.run()) for _ in range(3))
    bare = min(timed(lambda: subprocess.run([BARE, "-c", ""], check=True)) for _ in range(3))
    assert best - 2 * bare < 1.0  # generous: two interpreters start, and the stamp is read twice


def timed(action) -> float:
    """Seconds that it takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def test_an_environment_that_has_everything_is_used_as_it_is(copy, prepared):
    """Inside somebody's environment with the dependencies no .venv is made."""
    code, out, err = copy.run("x", python=str(prepared.venv / "bin" / "python"))
    assert (code, out.split(), err) == (7, [str(prepared.venv), "1.0", "x"], "")
    assert not copy.venv.exists()


def test_an_environment_with_another_version_is_not_used(begun, prepared):
    """What does not satisfy pyproject.toml does not count as there."""
    project = begun.root / "pyproject.toml"
    project.write_text(project.read_text().replace("gwtiny==1.0", "gwtiny>=1.5"))
    begun.lock.write_text(wheel(begun.index, "gwtiny", "1.6"))
    code, out, err = begun.run(python=str(prepared.venv / "bin" / "python"))
    assert (code, out.split()) == (7, [str(begun.venv), "1.6"]), err


def test_a_changed_lock_is_installed(prepared):
    """The stamp belongs to one lock: a new pin is installed at the next start."""
    before = prepared.lock.read_text()
    try:
        prepared.lock.write_text(before + wheel(prepared.index, "gwmore", "3.0"))
        code, _, err = prepared.run()
        assert code == 7
        assert err.startswith("Preparing ")
        assert list(prepared.venv.glob("lib/*/site-packages/gwmore.py"))
    finally:
        prepared.lock.write_text(before)


def test_a_package_that_is_not_the_locked_one_is_refused(begun):
    """A wheel whose hash is not in the lock stops the preparation, with pip's words and without a stamp."""
    begun.lock.write_text("gwtiny==1.0 --hash=sha256:" + "0" * 64 + "\n")
    code, out, err = begun.run()
    assert (code, out) == (1, "")
    assert "error: requirements.lock" in err
    assert "HASHES" in err
    assert not (begun.venv / bootstrap.STAMP.name).exists()


def hang(copy: Copy) -> tuple[subprocess.Popen[str], Path]:
    """A start whose pip stops in the middle: it reads a pipe when it looks for the last package."""
    pipe = copy.home / "pipe"
    os.mkfifo(pipe)
    text = copy.lock.read_text()
    copy.lock.write_text(f"{text}-r {pipe}\n")
    return copy.begin(), pipe


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """Whatever a test started and did not see end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def pip_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The pip that a start is running, once it installs from the runtime lock."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(psutil.Error):  # a child that ends while we look at it
            for child in psutil.Process(process.pid).children():
                if bootstrap.RUNTIME_LOCK in child.cmdline():
                    return child
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError("pip was not started")


@pytest.mark.skipif(sys.platform != "linux", reason="children die with a killed parent on Linux only")
def test_a_killed_install_heals_and_leaves_no_process(begun, processes):
    """After kill -9 in the middle pip is gone too, and the next start prepares everything anew."""
    lock = begun.lock.read_text()
    process, pipe = hang(begun)
    processes.append(process)
    pip = pip_of(process)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    psutil.wait_procs([pip], timeout=10)
    assert not pip.is_running() or pip.status() == psutil.STATUS_ZOMBIE
    assert (begun.venv / bootstrap.BUILDING.name).exists()
    torso = begun.venv / "torso"
    torso.touch()
    pipe.unlink()
    begun.lock.write_text(lock)
    code, out, err = begun.run()
    assert (code, out.split()) == (7, [str(begun.venv), "1.0"]), err
    assert not torso.exists()
    assert not begun.venv.with_name(".venv.old").exists()


def test_two_starts_share_one_install(begun, processes):
    """The second waits for the first, then finds everything ready."""
    first, pipe = hang(begun)
    processes.append(first)
    pip_of(first)
    second = begun.begin("second")
    processes.append(second)
    assert second.stderr is not None
    assert second.stderr.readline().startswith("Waiting for another start")
    pipe.write_text("\n")  # pip reads on
    out, err = first.communicate(timeout=60)
    assert (first.returncode, out.split()[1:]) == (7, ["1.0"]), err
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out.split()[1:]) == (7, ["1.0", "second"]), err
    assert "Preparing" not in err


def test_an_environment_of_other_making_is_completed(begun):
    """An empty .venv that a newcomer made (and perhaps activated) gets what is missing."""
    mine = begun.venv / "mine"
    mine.touch()
    code, out, err = begun.run(python=str(begun.venv / "bin" / "python"))
    assert (code, out.split()) == (7, [str(begun.venv), "1.0"]), err
    assert mine.exists()


def test_the_tests_get_the_tools_too(begun):
    """`run.py test` prepares from the larger lock; that environment serves the program as well."""
    (begun.root / "config" / "checks.py").write_text(
        "def run_checks(arguments):\n    import gwtool\n    print(gwtool.VERSION, *arguments)\n    return 3\n"
    )
    code, out, err = begun.run("test", "-k", "x")
    assert (code, out.split()) == (3, ["2.1", "-k", "x"]), err
    code, out, err = begun.run()
    assert (code, out.split()[1:], err) == (7, ["1.0"], "")


def test_an_older_python_is_told_so():
    """One sentence that names both versions, no traceback; and nothing in the file that it could not parse."""
    text = (ROOT / "run.py").read_text()
    ast.parse(text, feature_version=(3, 5))
    pretend = (
        "import runpy, sys; sys.version_info = (3, 10, 2); runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    done = subprocess.run(
        [BARE, "-c", pretend, str(ROOT / "run.py")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Gatewright needs Python 3.11 or newer; this is Python 3.10.\n"
