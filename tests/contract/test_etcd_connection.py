"""Addresses, logins and errors of the etcd adapter, without a server."""

from __future__ import annotations

import pytest

from actors.core.errors import ErrorClass

C = ErrorClass
WRITES = [
    ("UNAVAILABLE", "failed to connect to all addresses; last error: ...", C.TRANSIENT, "Unreachable"),
    ("UNAVAILABLE", "Socket closed", C.IN_DOUBT, "Unavailable"),
    ("UNAVAILABLE", "etcdserver: request timed out", C.IN_DOUBT, "Unavailable"),
    ("UNAVAILABLE", "etcdserver: no leader", C.TRANSIENT, "NoLeader"),
    ("DEADLINE_EXCEEDED", "Deadline Exceeded", C.IN_DOUBT, "Timeout"),
    ("CANCELLED", "Channel closed!", C.IN_DOUBT, "Cancelled"),
    ("INTERNAL", "stream terminated", C.IN_DOUBT, "Lost"),
    ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", C.QUOTA, "NoSpace"),
    ("RESOURCE_EXHAUSTED", "etcdserver: too many requests", C.TRANSIENT, "TooManyRequests"),
    ("RESOURCE_EXHAUSTED", "grpc: received message larger than max", C.INVALID, "TooLarge"),
    ("RESOURCE_EXHAUSTED", "something new", C.IN_DOUBT, "Lost"),
    ("INVALID_ARGUMENT", "etcdserver: request is too large", C.INVALID, "TooLarge"),
    ("INVALID_ARGUMENT", "etcdserver: too many operations in txn request", C.INVALID, "TooManyOperations"),
    ("INVALID_ARGUMENT", "etcdserver: duplicate key given in txn request", C.INVALID, "DuplicateKey"),
    ("INVALID_ARGUMENT", "etcdserver: user name is empty", C.TERMINAL, "Unauthenticated"),
    ("INVALID_ARGUMENT", "etcdserver: authentication failed, invalid user", C.TERMINAL, "Unauthenticated"),
    ("INVALID_ARGUMENT", "etcdserver: key is not provided", C.INVALID, "BadRequest"),
    ("INVALID_ARGUMENT", "etcdserver: revision of auth store is old", C.TRANSIENT, "TokenExpired"),
    ("UNAUTHENTICATED", "etcdserver: invalid auth token", C.TRANSIENT, "TokenExpired"),
    ("UNAUTHENTICATED", "other", C.TERMINAL, "Unauthenticated"),
    ("PERMISSION_DENIED", "etcdserver: permission denied", C.TERMINAL, "PermissionDenied"),
    ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", C.CONFLICT, "Compacted"),
    ("OUT_OF_RANGE", "mvcc: required revision is a future revision", C.CONFLICT, "FutureRevision"),
    ("NOT_FOUND", "etcdserver: requested lease not found", C.NOT_FOUND, "LeaseNotFound"),
    ("UNIMPLEMENTED", "unknown method", C.TERMINAL, "Unsupported"),
]


@pytest.mark.parametrize(("status", "details", "error_class", "kind"), WRITES)
def test_errors_of_a_write(status: str, details: str, error_class: ErrorClass, kind: str) -> None:
    """Each answer to a write has its class; what may have arrived is in doubt."""
    from actors.adapters.etcd3_errors import sort_error

    failure = sort_error(status, details, writes=True).failure
    assert (failure.error_class, failure.kind) == (error_class, kind)
    assert details in failure.text


@pytest.mark.parametrize(("status", "details", "error_class", "kind"), WRITES)
def test_errors_of_a_read(status: str, details: str, error_class: ErrorClass, kind: str) -> None:
    """A read changes nothing, so it is never in doubt."""
    from actors.adapters.etcd3_errors import sort_error

    failure = sort_error(status, details, writes=False).failure
    expected = C.TRANSIENT if error_class is C.IN_DOUBT else error_class
    assert (failure.error_class, failure.kind) == (expected, kind)


@pytest.mark.parametrize(
    ("endpoints", "target"),
    [
        (["127.0.0.1:2379"], ("127.0.0.1", 2379)),
        (["http://etcd.example:2379/"], ("etcd.example", 2379)),
        (["10.0.0.1:1", "https://10.0.0.2:2", "10.0.0.3:3"], ("ipv4:10.0.0.1:1,10.0.0.2:2,10.0.0.3", 3)),
        (["[::1]:1", "[::2]:2"], ("ipv6:[::1]:1,[::2]", 2)),
    ],
)
def test_endpoints_become_one_target(endpoints: list[str], target: tuple[str, int]) -> None:
    """gRPC fails over by itself if it is given all addresses in one target."""
    from actors.adapters.etcd3_connection import parse_endpoints

    assert parse_endpoints(endpoints) == target


@pytest.mark.parametrize(
    "endpoints",
    [[], ["localhost"], ["host:"], [":1"], ["a:1", "b:2"], ["10.0.0.1:1", "[::1]:1"], ["fd00::1:2379"]],
)
def test_useless_endpoints_are_refused(endpoints: list[str]) -> None:
    """A wrong address is told at once, not by a time-out later."""
    from actors.adapters.etcd3_connection import parse_endpoints

    with pytest.raises(ValueError, match="endpoint"):
        parse_endpoints(endpoints)


def test_a_password_needs_tls_and_is_not_shown() -> None:
    """No password in clear to another host, and none in a repr."""
    from actors.adapters.etcd3_store import EtcdStore, Login

    login = Login("gatewright", "secret-word")
    assert "secret-word" not in repr(login)
    with pytest.raises(ValueError, match="TLS"):
        EtcdStore(["192.0.2.1:2379"], login=login)
    with pytest.raises(ValueError, match="TLS"):
        EtcdStore(["https://192.0.2.1:2379"])


@pytest.mark.parametrize(
    ("version", "exact"),
    [
        ("3.4.24", False),
        ("3.4.25", True),
        ("3.5.7", False),
        ("3.5.8", True),
        ("3.6.0-rc.1", True),
        ("?", False),
        ("", True),  # told to root only, by servers that are newer
    ],
)
def test_progress_notices_are_believed_from_fixed_versions_on(version: str, exact: bool) -> None:
    """Older servers announce revisions whose events they have not sent yet."""
    from actors.adapters.etcd3_watch import progress_is_exact

    assert progress_is_exact(version) is exact
