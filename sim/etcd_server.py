"""Starts a real etcd of one member for standalone mode and tests. Clusters and TLS: `etcd_cluster`.

Guarantees: bound to loopback only; dies with the process that started it, even if that is killed (Linux);
its data folder is private (0700) and locked against a second etcd; `stop` leaves no process behind.
Does not guarantee safety of the data beyond what the binary gives: see `etcd_binary.Grade`.

The starting thread must live as long as etcd is needed: Linux counts the thread's death as the parent's.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from sim.etcd_binary import (
    EtcdBinary,
    EtcdNotFoundError,
    Grade,
    default_cache_dir,
    find_etcd,
    grade_version,
)

__all__ = [
    "EtcdBinary",
    "EtcdNotFoundError",
    "EtcdStartError",
    "Grade",
    "RunningEtcd",
    "default_cache_dir",
    "find_etcd",
    "grade_version",
    "start_etcd",
]

_HOST = "127.0.0.1"
_ATTEMPTS = 3
_START_TIMEOUT_S = 30.0
#: Runs before etcd in its place. Not a preexec_fn: forking a process that has touched gRPC may hang.
_DIE_WITH_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class EtcdStartError(Exception):
    """etcd did not become healthy. The text has the end of its log."""


class RunningEtcd:
    """A child process. `endpoint` is `host:port`; `ports` are (client, peer). `health_port`: where it tells, without
    TLS, whether it is well."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        ports: tuple[int, int],
        data_dir: Path,
        health_port: int = 0,
    ) -> None:
        self._process = process
        self._health_port = health_port or ports[0]
        self.ports = ports
        self.data_dir = data_dir

    @property
    def endpoint(self) -> str:
        """Where clients connect to."""
        return f"{_HOST}:{self.ports[0]}"

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives (it may be frozen)."""
        return self._process.poll() is None

    def stop(self, timeout_s: float = 5.0) -> None:
        """End it in order (SIGTERM), by force after `timeout_s`. Safe to repeat."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as in a crash."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: connections stay, answers do not come."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def healthy(self) -> bool:
        """Whether it answers and has a leader."""
        return _healthy(self._health_port)


def start_etcd(
    binary: EtcdBinary,
    data_dir: Path,
    *,
    ports: tuple[int, int] | None = None,
    allow_unsafe: bool = False,
    extra: Sequence[str] = (),
) -> RunningEtcd:
    """Start etcd on `data_dir` (made if need be) and wait until it is healthy, at most 30 seconds.

    `ports`: (client, peer), else free ones. `allow_unsafe`: accept a version of grade REFUSE. `extra`: more
    flags. Raises EtcdStartError.
    """
    if binary.grade is Grade.REFUSE and not allow_unsafe:
        raise EtcdStartError(binary.remark)
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir.chmod(0o700)
    for attempt in range(1, _ATTEMPTS + 1):
        client, peer = ports or free_ports(2)
        try:
            flags = [*single(binary, data_dir, client, peer), *extra]
            return await_health(launch(binary, data_dir, flags, (client, peer)), binary)
        except EtcdStartError as error:
            # Between the choice of a port and its use somebody else may take it.
            if ports is not None or attempt == _ATTEMPTS or "address already in use" not in str(error):
                raise
    raise AssertionError("unreachable")


def launch(
    binary: EtcdBinary, data_dir: Path, flags: Sequence[str], ports: tuple[int, int], health_port: int = 0
) -> RunningEtcd:
    """A member that begins to start. Raises EtcdStartError if its folder is in use."""
    with ExitStack() as stack:
        lock = stack.enter_context((data_dir / "lock").open("w"))
        _lock(lock.fileno(), data_dir)
        log = stack.enter_context((data_dir / "etcd.log").open("wb"))
        guard = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
        process = subprocess.Popen(  # noqa: S603 - the binary was probed
            [*guard, str(binary.path), *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=data_dir,
            pass_fds=(lock.fileno(),),  # the lock is held for as long as etcd itself lives
            start_new_session=True,  # Ctrl-C is for us; we stop etcd in order
        )
    return RunningEtcd(process, ports, data_dir, health_port)


def await_health(etcd: RunningEtcd, binary: EtcdBinary) -> RunningEtcd:
    """The same one, healthy. Raises EtcdStartError, with the member killed, if that takes too long."""
    try:
        if _await_health(etcd):
            return etcd
    except BaseException:
        etcd.kill()
        raise
    etcd.kill()
    tail = (etcd.data_dir / "etcd.log").read_text("utf-8", "replace")[-2000:]
    raise EtcdStartError(f"etcd {binary.version} did not become healthy: {tail}")


def _await_health(etcd: RunningEtcd) -> bool:
    end = time.monotonic() + _START_TIMEOUT_S
    while etcd.running and time.monotonic() < end:
        if etcd.healthy():
            return True
        time.sleep(0.03)
    return False


def single(binary: EtcdBinary, data_dir: Path, client: int, peer: int) -> list[str]:
    """The flags of a lonely member."""
    own = f"http://{_HOST}:{peer}"
    flags = common(binary, data_dir)
    flags |= urls("client", f"http://{_HOST}:{client}") | urls("peer", own)
    flags |= {"name": "gatewright", "initial-cluster": f"gatewright={own}"}
    return flags_of(flags)


def common(binary: EtcdBinary, data_dir: Path) -> dict[str, str]:
    """The flags of every member."""
    flags = {
        "data-dir": str(data_dir / "data"),
        "quota-backend-bytes": str(8 * 1024**3),
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "5m",
        "log-level": "warn",
    }
    return flags | ({"logger": "zap"} if binary.version.startswith("3.4.") else {})


def urls(side: str, url: str) -> dict[str, str]:
    """Where a member listens on its client or peer side."""
    advertise = "initial-advertise-peer-urls" if side == "peer" else "advertise-client-urls"
    return {f"listen-{side}-urls": url, advertise: url}


def flags_of(flags: Mapping[str, str]) -> list[str]:
    """As arguments."""
    return [f"--{name}={value}" for name, value in flags.items()]


def _lock(descriptor: int, data_dir: Path) -> None:
    end = time.monotonic() + 2.0  # an etcd that was just killed may need a moment to be gone
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise EtcdStartError(f"{data_dir} is in use by another etcd") from None
            time.sleep(0.05)


def free_ports(count: int) -> tuple[int, ...]:
    """Ports that were free at one moment, all at once: one after the other gives the same port twice."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_HOST, 0))
        return tuple(one.getsockname()[1] for one in sockets)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(_HOST, port, timeout=1.0)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        return response.status == 200 and b'"true"' in response.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
