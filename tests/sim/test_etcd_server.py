"""Finding and starting a real etcd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sim import etcd_binary as binaries
from sim.etcd_server import EtcdBinary, EtcdNotFoundError, EtcdStartError, Grade, grade_version, start_etcd
from tests.contract.etcd_worlds import ROOT, until


@pytest.mark.parametrize(
    ("version", "grade"),
    [
        ("3.3.27", Grade.REFUSE),
        ("3.4.23", Grade.WARN),
        ("3.4.38", Grade.OK),
        ("3.5.0", Grade.REFUSE),
        ("3.5.1", Grade.REFUSE),
        ("3.5.2", Grade.REFUSE),
        ("3.5.3", Grade.WARN),
        ("3.5.22", Grade.WARN),
        ("3.5.23", Grade.OK),
        ("3.6.16", Grade.OK),
        ("built-yesterday", Grade.WARN),
    ],
)
def test_versions_are_graded(version: str, grade: Grade) -> None:
    """Versions that lose data are refused, those with known bugs warned of, and the reason is told."""
    found, remark = grade_version(version)
    assert found is grade
    assert (remark == "") == (grade is Grade.OK)


def fake_binary(path: Path, version: str) -> Path:
    """A script that says it is etcd."""
    path.write_text(f"#!/bin/sh\necho 'etcd Version: {version}'\n")
    path.chmod(0o755)
    return path


def test_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ETCD_BIN first, then PATH, then the cache, but the one without known bugs before the other; one that loses
    data only if there is no other."""
    named = fake_binary(tmp_path / "named", "3.5.30")
    (tmp_path / "bin").mkdir()
    on_path = fake_binary(tmp_path / "bin" / "etcd", "3.5.31")
    (tmp_path / "cache").mkdir()
    cached = fake_binary(tmp_path / "cache" / "etcd", "3.4.38")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    def find() -> Path:
        return binaries.find_etcd(tmp_path / "cache", download=False).path

    monkeypatch.setenv("ETCD_BIN", str(named))
    assert find() == named
    monkeypatch.delenv("ETCD_BIN")
    assert find() == on_path
    fake_binary(on_path, "3.5.16")  # has known bugs, and another one is here that has none
    assert find() == cached
    fake_binary(on_path, "3.5.1")
    assert find() == cached
    cached.unlink()
    assert binaries.find_etcd(tmp_path / "cache", download=False).grade is Grade.REFUSE


def test_what_was_tried_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any etcd the error lists the attempts; a wrong ETCD_BIN is an error by itself."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("ETCD_BIN", raising=False)
    with pytest.raises(EtcdNotFoundError, match="no etcd on PATH"):
        binaries.find_etcd(tmp_path, download=False)
    monkeypatch.setenv("ETCD_BIN", "/bin/true")
    with pytest.raises(EtcdNotFoundError, match="ETCD_BIN"):
        binaries.find_etcd(tmp_path)


def test_a_version_that_loses_data_is_not_started(tmp_path: Path) -> None:
    """REFUSE means refuse, unless it is allowed by name."""
    binary = EtcdBinary(tmp_path / "etcd", "3.5.1", *grade_version("3.5.1"))
    with pytest.raises(EtcdStartError, match="LOSES"):
        start_etcd(binary, tmp_path / "data")


def test_an_etcd_that_cannot_start_is_explained(tmp_path: Path) -> None:
    """The error carries the end of the log."""
    script = tmp_path / "etcd"
    script.write_text("#!/bin/sh\necho disk on fire >&2; exit 1\n")
    script.chmod(0o755)
    with pytest.raises(EtcdStartError, match="disk on fire"):
        start_etcd(EtcdBinary(script, "3.5.30", Grade.OK, ""), tmp_path / "data")


def test_one_etcd_per_folder_on_loopback_only(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    """The data is private and locked, the ports are on loopback, and nothing is left after stop."""
    etcd = start_etcd(etcd_binary, tmp_path / "data", allow_unsafe=True)
    try:
        assert etcd.healthy()
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        sockets = psutil.Process(etcd.pid).net_connections("tcp")
        listening = {one.laddr for one in sockets if one.status == psutil.CONN_LISTEN}
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert {address.port for address in listening} == set(etcd.ports)
        with pytest.raises(EtcdStartError, match="in use"):
            start_etcd(etcd_binary, tmp_path / "data", allow_unsafe=True)
    finally:
        etcd.stop()
    assert not psutil.pid_exists(etcd.pid)
    etcd.stop()


def test_etcd_dies_with_its_parent(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    """Not even kill -9 of the parent leaves an etcd behind."""
    code = (
        "import sys, time; from pathlib import Path; from sim.etcd_server import *\n"
        "from sim.etcd_binary import probe\n"
        "etcd = start_etcd(probe(Path(sys.argv[1])), Path(sys.argv[2]), allow_unsafe=True)\n"
        "print(etcd.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(etcd_binary.path), str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            etcd = psutil.Process(int(parent.stdout.readline()))
        finally:
            parent.kill()
    until(lambda: not etcd.is_running() or etcd.status() == psutil.STATUS_ZOMBIE)
