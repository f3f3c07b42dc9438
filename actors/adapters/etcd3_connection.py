"""One gRPC channel to etcd: addresses, options, TLS, authentication, deadlines and sorted errors.

Guarantees: importing this module works on any protobuf that `etcd3_upb` supports; every call has a deadline
and raises `PortError` only; passwords and tokens appear in no repr and no error. gRPC itself fails over
between several addresses. Does not guarantee that a call is repeated: that is the caller's decision.

Never import this in a process that forks afterwards (research: a forked child hangs in gRPC).
"""

from __future__ import annotations

import ipaddress
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from actors.adapters import etcd3_upb
from actors.adapters.etcd3_errors import from_rpc
from actors.core.errors import ErrorClass, PortError
from actors.ports import StoreStatus

etcd3_upb.install()

import etcd3  # noqa: E402 - the shim must come first
import grpc  # noqa: E402
from etcd3 import etcdrpc as rpc  # noqa: E402

__all__ = ["Connection", "Login", "Tls", "grpc", "parse_endpoints", "rpc"]

#: A page must also fit into one message between our processes (`runtime.wire`), and arrive within a deadline.
MESSAGE_LIMIT = 32 * 1024 * 1024
#: gRPC notices a frozen server only with all of these together (etcd refuses pings oftener than every 5 s).
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_isolated = itertools.count()
#: What gRPC begins for a stream: one that sends, one that reads for all streams.
_THREADS = 2


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. `authority`: a DNS name in every member's certificate; needed with several endpoints."""

    ca_file: str
    cert_file: str | None = None
    key_file: str | None = None
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """User and password for etcd's own authentication. Client certificates are the better choice."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"


def parse_endpoints(endpoints: Sequence[str]) -> tuple[str, int]:
    """`host` and `port` for `etcd3.client`: several addresses become one gRPC target with fail-over.

    Accepts `host:port`, with or without `http(s)://`; IPv6 addresses in brackets. Several endpoints must be IP
    literals of one family. Raises ValueError.
    """
    parsed = [_parse_endpoint(endpoint) for endpoint in endpoints]
    if not parsed:
        raise ValueError("no etcd endpoint given")
    if len(parsed) == 1:
        return parsed[0]
    try:
        versions = {ipaddress.ip_address(host.strip("[]")).version for host, _ in parsed}
    except ValueError as error:
        raise ValueError("several etcd endpoints must be IP addresses, not names") from error
    if len(versions) != 1:
        raise ValueError("several etcd endpoints must be of one address family")
    *first, (last_host, last_port) = parsed
    addresses = [f"{host}:{port}" for host, port in first] + [last_host]
    return f"ipv{versions.pop()}:" + ",".join(addresses), last_port


def _parse_endpoint(endpoint: str) -> tuple[str, int]:
    text = endpoint.strip().rstrip("/")
    for scheme in ("http://", "https://"):
        text = text.removeprefix(scheme)
    host, colon, port = text.rpartition(":")
    bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not colon or not host or bare or not port.isdigit():
        raise ValueError(f"not an etcd endpoint (host:port): {endpoint!r}")
    return host, int(port)


def _is_loopback(endpoint: str) -> bool:
    host = _parse_endpoint(endpoint)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Connection:
    """The channel and its stubs; thread-safe. `cluster_id` is that of the last page that was read, else 0."""

    def __init__(
        self, endpoints: Sequence[str], timeout_s: float, tls: Tls | None, login: Login | None
    ) -> None:
        if tls is None and any(endpoint.startswith("https://") for endpoint in endpoints):
            raise ValueError("an https endpoint needs TLS files")
        if login is not None and tls is None and not all(map(_is_loopback, endpoints)):
            raise ValueError("a password is sent to another host over TLS only")
        host, port = parse_endpoints(endpoints)
        # A number of its own keeps gRPC from sharing one connection, with its back-off, between two stores.
        options: list[tuple[str, Any]] = [*_OPTIONS, ("gatewright.store", next(_isolated))]
        if tls is not None and tls.authority:
            options.append(("grpc.default_authority", tls.authority))
            options.append(("grpc.ssl_target_name_override", tls.authority))
        self.timeout_s = timeout_s
        self.cluster_id = 0
        self._login = login
        self._token = ""
        self._token_lock = threading.Lock()
        self._closed = False
        self._client = etcd3.client(
            host=host,
            port=port,
            ca_cert=tls.ca_file if tls else None,
            cert_cert=tls.cert_file if tls else None,
            cert_key=tls.key_file if tls else None,
            timeout=timeout_s,
            grpc_options=options,
        )
        self.kv = self._client.kvstub
        self.lease = self._client.leasestub
        self._watch = rpc.WatchStub(self._client.channel)
        self._auth = rpc.AuthStub(self._client.channel)

    def call(
        self, method: Callable[..., Any], request: Any, *, writes: bool, timeout_s: float | None = None
    ) -> Any:
        """One unary call. Raises PortError. An expired token is renewed once."""
        try:
            return self._call(method, request, writes=writes, timeout_s=timeout_s)
        except PortError as error:
            if error.failure.kind != "TokenExpired" or self._login is None:
                raise
            self.forget_token()
            return self._call(method, request, writes=writes, timeout_s=timeout_s)

    def _call(
        self, method: Callable[..., Any], request: Any, *, writes: bool, timeout_s: float | None
    ) -> Any:
        metadata = self.metadata()
        try:
            return method(request, timeout=timeout_s or self.timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise from_rpc(error, writes=writes) from None
        except ValueError as error:
            if not self._closed:
                raise
            raise _closed_error() from error

    def status(self) -> StoreStatus:
        """The member that answers. Raises PortError."""
        maintenance = self._client.maintenancestub
        try:
            answer = self.call(maintenance.Status, rpc.StatusRequest(), writes=False)
        except PortError as error:
            if error.failure.kind != "PermissionDenied":
                raise
            found = self.call(maintenance.Alarm, rpc.AlarmRequest(), writes=False).alarms
            return StoreStatus("", 0, tuple(sorted({rpc.AlarmType.Name(one.alarm) for one in found})))
        # Servers before 3.4 tell the size of the file only, and no alarms.
        alarms = {text.rpartition("alarm:")[2].strip() for text in answer.errors if "alarm:" in text}
        return StoreStatus(str(answer.version), answer.dbSizeInUse or answer.dbSize, tuple(sorted(alarms)))

    def version(self) -> str:
        """The version of the member that answers, see `StoreStatus`. Raises PortError."""
        return self.status().version

    def compact(self, revision: int) -> None:
        """Forget history before `revision`; no error if that is done already. Raises PortError."""
        try:
            self.call(self.kv.Compact, rpc.CompactionRequest(revision=revision), writes=False)
        except PortError as error:
            if error.failure.kind != "Compacted":
                raise

    def open_watch(self, requests: Any) -> Any:
        """A watch stream. Raises PortError (no login), else the errors come out of the stream."""
        return self._open(self._watch.Watch, requests)

    def open_keepalive(self, requests: Any) -> Any:
        """A keepalive stream for leases."""
        return self._open(self.lease.LeaseKeepAlive, requests)

    def _open(self, method: Callable[..., Any], requests: Any) -> Any:
        metadata = self.metadata()
        _need_threads()
        try:
            return method(requests, metadata=metadata)
        except ValueError as error:
            raise _closed_error() from error

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """`hasleader`: a member without quorum must say so at once instead of keeping silent."""
        if self._closed:
            raise _closed_error()
        token = self._authenticate() if self._login is not None else ""
        leader = ("hasleader", "true")
        return (leader, ("token", token)) if token else (leader,)

    def forget_token(self) -> None:
        """The next call logs in again."""
        with self._token_lock:
            self._token = ""

    def _authenticate(self) -> str:
        login = self._login
        assert login is not None
        with self._token_lock:
            if not self._token:
                request = rpc.AuthenticateRequest(name=login.user, password=login.password)
                try:
                    self._token = self._auth.Authenticate(request, timeout=self.timeout_s).token
                except grpc.RpcError as error:
                    raise from_rpc(error, writes=False) from None
            return self._token

    def close(self) -> None:
        """Close the channel; calls under way fail."""
        self._closed = True
        self._client.close()


def _need_threads() -> None:
    """Raises PortError if the system lets us have no more threads: where gRPC finds that out by itself in opening a
    stream, it serves no stream of that channel ever after."""
    enough = threading.Event()
    try:
        for _ in range(_THREADS):
            threading.Thread(target=enough.wait, daemon=True).start()
    except RuntimeError as error:
        raise PortError(ErrorClass.TRANSIENT, "NoThread", str(error)) from error
    finally:
        enough.set()


def _closed_error() -> PortError:
    return PortError(ErrorClass.TRANSIENT, "Closed", "the store is closed")
