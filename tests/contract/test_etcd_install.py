"""The unmodified etcd3 from the lock file, in a fresh environment of every Python that is meant to work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.etcd_worlds import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
#: What the etcd adapter needs of the lock files.
BUILD = ("pip", "setuptools", "wheel", "packaging")
RUN = ("etcd3", "grpcio", "protobuf", "six", "tenacity", "typing-extensions")
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
store.watch("/t/", revision=store.page("/t/").revision, sink=lambda e: isinstance(e, Changes) and seen.set())
session = store.session(5)
assert session.take(["/t/own"], "me")
assert store.commit([WriteSet((Put("/t/a", b"1"),))]).accepted == (True,)
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


@pytest.mark.parametrize("version", PYTHONS)
def test_etcd3_installs_and_works(version: str, etcd_endpoint: str, tmp_path: Path) -> None:
    """From the lock, with hashes, on protobuf's fast backend, no environment variable set, no warning said."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], env=environment, check=True)
    fresh = str(tmp_path / "venv" / "bin" / "python")
    for lock, names, options in (
        ("requirements-build.lock", BUILD, ["--upgrade"]),
        ("requirements.lock", RUN, ["--no-build-isolation"]),
    ):
        file = tmp_path / lock
        file.write_text(excerpt(lock, names))
        command = [fresh, "-m", "pip", "install", "-q", "--require-hashes", "--no-deps", *options]
        done = subprocess.run(
            [*command, "-r", str(file)], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode and re.search("No matching distribution|connection|resolve", done.stderr):
            pytest.skip(f"no package index can be reached: {done.stderr.strip().splitlines()[-1][:200]}")
        assert done.returncode == 0, done.stderr
    talked = subprocess.run(
        [fresh, "-W", "error", "-c", TALK, etcd_endpoint],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (talked.returncode, talked.stderr) == (0, ""), talked.stderr
    backend, protobuf, ran = talked.stdout.split()
    assert (backend, ran) == ("upb", version)
    assert int(protobuf.split(".")[0]) >= 6
