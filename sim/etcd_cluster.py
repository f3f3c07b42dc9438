"""Starts a real etcd of several members, or with TLS, on loopback: for tests.

Guarantees: like `etcd_server` for each member: loopback only, dies with its starter, data private and locked. With
TLS each member's health is asked without it, on a port of its own. Does not secure the traffic between members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.etcd_server import (
    EtcdBinary,
    RunningEtcd,
    await_health,
    common,
    flags_of,
    free_ports,
    launch,
    urls,
)

_HOST = "127.0.0.1"
_PORTS = 3  # of one member: client, peer, health


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Files in PEM. Clients must show a certificate of the same authority."""

    ca_file: Path
    cert_file: Path
    key_file: Path


@dataclass
class RunningCluster:
    """Members by their number; one that was killed can be started again."""

    members: list[RunningEtcd]
    _binary: EtcdBinary
    _folder: Path
    _ports: tuple[int, ...]
    _tls: ServerTls | None
    _extra: tuple[str, ...]

    @property
    def endpoints(self) -> list[str]:
        """`host:port` of all members."""
        return [member.endpoint for member in self.members]

    @property
    def version(self) -> str:
        """Of the binary."""
        return self._binary.version

    def restart(self, number: int) -> None:
        """Start a member that is dead on its data."""
        self.members[number] = self.launch(number)
        await_health(self.members[number], self._binary)

    def stop(self) -> None:
        """End all, in order. Data stays."""
        for member in self.members:
            member.stop()

    def launch(self, number: int) -> RunningEtcd:
        """Begin to start a member that is dead; it is not awaited."""
        data_dir = self._folder / f"member{number}"
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        client, peer, health = self._ports[number * _PORTS : (number + 1) * _PORTS]
        scheme = "https" if self._tls else "http"
        flags = common(self._binary, data_dir)
        flags |= urls("client", f"{scheme}://{_HOST}:{client}") | urls("peer", f"http://{_HOST}:{peer}")
        flags |= {
            "name": f"m{number}",
            "initial-cluster": ",".join(
                f"m{n}=http://{_HOST}:{port}" for n, port in enumerate(self._ports[1::_PORTS])
            ),
            "listen-metrics-urls": f"http://{_HOST}:{health}",
        }
        if self._tls is not None:
            flags |= {
                "trusted-ca-file": str(self._tls.ca_file),
                "cert-file": str(self._tls.cert_file),
                "key-file": str(self._tls.key_file),
                "client-cert-auth": "true",
            }
        return launch(self._binary, data_dir, [*flags_of(flags), *self._extra], (client, peer), health)


def start_cluster(
    binary: EtcdBinary,
    folder: Path,
    count: int = 3,
    *,
    tls: ServerTls | None = None,
    extra: Sequence[str] = (),
) -> RunningCluster:
    """`count` members below `folder`, healthy. `extra`: more flags for each. Raises EtcdStartError."""
    cluster = RunningCluster([], binary, folder, free_ports(count * _PORTS), tls, tuple(extra))
    try:
        for number in range(count):
            cluster.members.append(cluster.launch(number))
        for member in cluster.members:
            await_health(member, binary)
    except BaseException:
        for member in cluster.members:
            member.kill()
        raise
    return cluster
