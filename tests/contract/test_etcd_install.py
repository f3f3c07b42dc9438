"""The unmodified etcd3 from the lock file, in a fresh environment of every Python that is meant to work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sim.etcd_server import RunningEtcd
from tests.contract.etcd_worlds import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
#: What the etcd adapter needs of the lock files.
BUILD = ("setuptools", "wheel", "packaging")
RUN = ("etcd3", "grpcio", "orjson", "protobuf", "six", "tenacity", "typing-extensions")
#: Environment of the user that may not be needed: everything but what pip needs to reach its index.
KEPT = ("PATH", "HOME", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy")
TALK = """
import sys, threading
from actors.adapters.etcd3_store import EtcdStore
from actors.ports import Changes, Put, WriteSet
from google.protobuf import __version__
from google.protobuf.internal import api_implementation
seen = threading.Event()
store = EtcdStore([sys.argv[1]])
root = "/%d.%d/" % sys.version_info[:2]
store.watch(root, revision=store.page(root).revision, sink=lambda e: isinstance(e, Changes) and seen.set())
session = store.session(5)
assert session.take([root + "own"], "me")
assert store.commit([WriteSet((Put(root + "a", b"1"),))]).accepted == (True,)
assert seen.wait(10)
assert store.status().version
store.close()
print(api_implementation.Type(), __version__, "%d.%d" % sys.version_info[:2])
"""


def interpreter(version: str) -> str | None:
    """A Python of that version: on PATH, or beside others in a folder of pyenv."""
    found = shutil.which(f"python{version}")
    if found is not None and answers(found):
        return found
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for path in sorted(home.glob(f"versions/{version}*/bin/python")):
        if answers(str(path)):
            return str(path)
    return None


def answers(python: str) -> bool:
    """Whether it runs (a shim of pyenv may not)."""
    try:
        return subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def excerpt(lock: str, names: tuple[str, ...]) -> str:
    """These packages of a lock file, with their hashes."""
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", (ROOT / lock).read_text())
    chosen = [block for block in blocks if re.split(r"[=\[; ]", block, maxsplit=1)[0] in names]
    assert chosen, lock
    return "".join(chosen)


def run(command: list[str], **options: Any) -> tuple[str, str]:
    """What it said, to the two outputs. Skips where no package index can be reached by pip."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, **options)
    failed = done.returncode and "pip" in command
    if failed and re.search("No matching distribution|connection|resolve", done.stderr):
        pytest.skip(f"no package index can be reached: {done.stderr.strip().splitlines()[-1][:200]}")
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def install_and_talk(python: str, endpoint: str, folder: Path) -> str:
    """What `TALK` says in a fresh environment of that interpreter. Our pip fills it: it has none of its own."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    run([python, "-m", "venv", "--without-pip", str(folder / "venv")], env=environment)
    fresh = str(folder / "venv" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", fresh, "install", "-q", "--require-hashes", "--no-deps"]
    for lock, names in (("requirements-build.lock", BUILD), ("requirements.lock", RUN)):
        file = folder / lock
        file.write_text(excerpt(lock, names))
        run([*pip, "--no-compile", "--no-build-isolation", "-r", str(file)], env=environment)
    talk = [fresh, "-W", "error", "-c", TALK, endpoint]
    said, complaints = run(talk, cwd=ROOT, env={"PATH": os.environ["PATH"]})
    assert complaints == ""
    return said


@pytest.fixture(scope="module")
def talks(
    etcd_server: RunningEtcd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    """By version of Python, those that there are: all at once, since most of it is waiting for the index."""
    pythons = {version: interpreter(version) for version in PYTHONS}
    with ThreadPoolExecutor(len(PYTHONS)) as pool:
        yield {
            version: pool.submit(
                install_and_talk, python, etcd_server.endpoint, tmp_path_factory.mktemp("py")
            )
            for version, python in pythons.items()
            if python is not None
        }


@pytest.mark.parametrize("version", PYTHONS)
def test_etcd3_installs_and_works(version: str, talks: dict[str, Future[str]]) -> None:
    """From the lock, with hashes, on protobuf's fast backend, no environment variable set, no warning said."""
    if version not in talks:
        pytest.skip(f"there is no Python {version} here")
    backend, protobuf, ran = talks[version].result().split()
    assert (backend, ran) == ("upb", version)
    assert int(protobuf.split(".")[0]) >= 6
