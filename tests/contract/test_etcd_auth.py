"""TLS, users and tokens of a real etcd: renewed when they end, and told by name when they do not suffice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import ErrorClass
from actors.ports import Down, Up
from sim.etcd_cluster import RunningCluster, ServerTls, start_cluster
from sim.etcd_server import EtcdBinary
from tests.contract.certificates import Authority
from tests.contract.etcd_worlds import Access, Recorder, fails, puts, until

PASSWORD = "word-of-the-test"
TOKEN_S = 2


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Of this test's own."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def cluster(etcd_binary: EtcdBinary, tmp_path: Path, authority: Authority) -> Iterator[RunningCluster]:
    """One member with TLS that asks for client certificates; tokens end after two seconds without use."""
    tls = ServerTls(authority.ca_file, *authority.issue("server", server=True))
    running = start_cluster(etcd_binary, tmp_path, 1, tls=tls, extra=(f"--auth-token-ttl={TOKEN_S}",))
    yield running
    running.stop()


@pytest.fixture
def admin(cluster: RunningCluster, authority: Authority) -> Access:
    """Root by certificate; authentication is on."""
    access = by_certificate(cluster, authority, "root")
    access.enable_auth(PASSWORD)
    return access


@pytest.fixture
def open_store() -> Iterator[Callable[..., Any]]:
    """Stores that are closed at the end."""
    stores = []

    def make(access: Access) -> Any:
        stores.append(access.open(heartbeat_s=0.5, timeout_s=2.0))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def by_certificate(cluster: RunningCluster, authority: Authority, name: str) -> Access:
    """Whoever has a certificate of that name."""
    files = map(str, authority.issue(name))
    return Access([f"https://{one}" for one in cluster.endpoints], str(authority.ca_file), *files)


def by_password(cluster: RunningCluster, authority: Authority, user: str, password: str) -> Access:
    """A certificate that names nobody of importance, and a password."""
    return replace(by_certificate(cluster, authority, "anyone"), user=user, password=password)


def is_strict(version: str) -> bool:
    """Older servers let everybody write by nested transactions and compact (CVE-2026-33343, CVE-2026-33413)."""
    numbers = tuple(int(part.split("-")[0]) for part in version.split(".")[:3])
    return numbers >= (3, 5, 28) or (3, 4, 42) <= numbers < (3, 5, 0)


def test_an_expired_token_is_renewed(
    cluster: RunningCluster, authority: Authority, admin: Access, open_store: Callable[..., Any]
) -> None:
    """Idle beyond the life of its token a client goes on as if nothing were; a watch and a lease too, for as long as
    many tokens last."""
    idle = open_store(by_password(cluster, authority, "root", PASSWORD))
    idle.page("/t/")
    store = open_store(by_password(cluster, authority, "root", PASSWORD))
    recorder = Recorder()
    store.watch("/t/", revision=store.commit([puts(a="0")]).revision, sink=recorder)
    session = store.session(3)
    session.take(["/t/own"], "me")
    first = idle._connection._token
    assert first
    time.sleep(2 * TOKEN_S + 1)
    idle.commit([puts(a="1")])
    assert idle._connection._token != first
    store.commit([puts(b="1")])  # its token may live still: newer servers count a lease as use
    until(lambda: recorder.state.get("/t/b") == b"1")
    assert session.valid()
    assert "/t/own" in recorder.state


def test_a_restart_of_the_server_ends_tokens_and_nothing_else(
    cluster: RunningCluster, authority: Authority, admin: Access, open_store: Callable[..., Any]
) -> None:
    """Simple tokens live in the member's memory: after its restart the client logs in again, and the watch resumes
    without loss."""
    store = open_store(by_password(cluster, authority, "root", PASSWORD))
    other = open_store(admin)
    recorder = Recorder()
    store.watch("/t/", revision=store.commit([puts(a="0")]).revision, sink=recorder)
    until(lambda: Up in recorder.kinds())
    cluster.members[0].kill()
    until(lambda: Down in recorder.kinds())
    cluster.restart(0)
    other.commit([puts(a="1")])
    until(lambda: recorder.state == {"/t/a": b"1"}, 30)
    store.commit([puts(a="2")])
    until(lambda: recorder.state == {"/t/a": b"2"})


def test_a_wrong_password_is_told_and_not_shown(
    cluster: RunningCluster, authority: Authority, admin: Access, open_store: Callable[..., Any]
) -> None:
    """It is terminal, has a name, and the text does not hold the password."""
    store = open_store(by_password(cluster, authority, "root", "not-" + PASSWORD))
    with fails(ErrorClass.TERMINAL, "Unauthenticated") as caught:
        store.page("/t/")
    assert PASSWORD not in str(caught.value)
    recorder = Recorder()
    store.watch("/t/", revision=1, sink=recorder)
    until(lambda: Down in recorder.kinds())
    (down,) = [event for event in recorder.events if isinstance(event, Down)]
    assert "Unauthenticated" in down.reason
    assert PASSWORD not in down.reason


def test_what_is_not_permitted_is_told_instead_of_silence(
    cluster: RunningCluster, authority: Authority, admin: Access, open_store: Callable[..., Any]
) -> None:
    """A user without rights to a prefix: calls and watches say so; when the right is given the watch begins."""
    from actors.adapters.etcd3_connection import rpc

    root = open_store(admin)
    connection, auth = root._connection, root._connection._auth
    for method, request in (
        (auth.UserAdd, rpc.AuthUserAddRequest(name="reader", password=PASSWORD)),
        (auth.RoleAdd, rpc.AuthRoleAddRequest(name="reader")),
        (auth.UserGrantRole, rpc.AuthUserGrantRoleRequest(user="reader", role="reader")),
    ):
        connection.call(method, request, writes=True)
    store = open_store(by_password(cluster, authority, "reader", PASSWORD))
    with fails(ErrorClass.TERMINAL, "PermissionDenied"):
        store.page("/t/")
    recorder = Recorder()
    store.watch("/t/", revision=1, sink=recorder)
    until(lambda: Down in recorder.kinds())
    assert any("permission" in event.reason for event in recorder.events if isinstance(event, Down))
    from etcd3.etcdrpc import auth_pb2

    right = auth_pb2.Permission(permType=auth_pb2.Permission.READ, key=b"/t/", range_end=b"/t0")
    grant = rpc.AuthRoleGrantPermissionRequest(name="reader", perm=right)
    connection.call(auth.RoleGrantPermission, grant, writes=True)
    root.commit([puts(a="1")])
    until(lambda: recorder.state == {"/t/a": b"1"}, 30)
    if is_strict(cluster.version):
        with fails(ErrorClass.TERMINAL, "PermissionDenied"):
            store.commit([puts(a="2")])


def test_a_user_who_is_not_root_learns_what_he_may(
    cluster: RunningCluster, authority: Authority, admin: Access, open_store: Callable[..., Any]
) -> None:
    """Who may read and write everything, and no more: alarms are told, and by strict servers neither version nor
    size; those let only root forget history."""
    from etcd3.etcdrpc import auth_pb2

    from actors.adapters.etcd3_connection import rpc

    root = open_store(admin)
    connection, auth = root._connection, root._connection._auth
    right = auth_pb2.Permission(permType=auth_pb2.Permission.READWRITE, key=b"\0", range_end=b"\0")
    for method, request in (
        (auth.UserAdd, rpc.AuthUserAddRequest(name="writer", password=PASSWORD)),
        (auth.RoleAdd, rpc.AuthRoleAddRequest(name="writer")),
        (auth.UserGrantRole, rpc.AuthUserGrantRoleRequest(user="writer", role="writer")),
        (auth.RoleGrantPermission, rpc.AuthRoleGrantPermissionRequest(name="writer", perm=right)),
    ):
        connection.call(method, request, writes=True)
    store = open_store(by_password(cluster, authority, "writer", PASSWORD))
    revision = store.commit([puts(a="1")]).revision
    alarm = rpc.AlarmRequest(action=rpc.AlarmRequest.ACTIVATE, alarm=rpc.NOSPACE, memberID=1)
    connection.call(connection._client.maintenancestub.Alarm, alarm, writes=True)
    status = store.status()
    assert status.alarms == ("NOSPACE",)
    if is_strict(cluster.version):
        assert (status.version, status.bytes_in_use) == ("", 0)
        with fails(ErrorClass.TERMINAL, "PermissionDenied"):
            store.compact(revision)
    else:
        assert status.version == cluster.version
        store.compact(revision)


def test_a_stranger_without_certificate_is_not_let_in(
    cluster: RunningCluster, authority: Authority, tmp_path: Path, open_store: Callable[..., Any]
) -> None:
    """Neither without a client certificate nor with one of another authority, and ours believes no other server."""
    good = by_certificate(cluster, authority, "root")
    assert open_store(good).page("/t/").entries == ()
    stranger = Authority(tmp_path / "stranger")
    theirs = by_certificate(cluster, stranger, "root")
    for access in (
        replace(good, cert_file=theirs.cert_file, key_file=theirs.key_file),
        replace(good, ca_file=theirs.ca_file),
    ):
        with fails(ErrorClass.TRANSIENT, "Unreachable"):
            open_store(access).page("/t/")
