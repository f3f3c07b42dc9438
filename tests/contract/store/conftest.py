"""Fixtures of the `Store` contract: the same tests over the fake and over real etcds of four kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from actors.ports import Store
from sim.etcd_cluster import ServerTls, start_cluster
from sim.etcd_server import EtcdBinary, RunningEtcd
from tests.contract.certificates import Authority
from tests.contract.etcd_worlds import Access, EtcdWorld, FakeWorld, World

PASSWORD = "word-of-the-test"
#: kind → (members, TLS, how clients say who they are)
KINDS = {
    "secure": (1, True, "password"),
    "cluster": (3, False, ""),
    "secure-cluster": (3, True, "certificate"),
}


@pytest.fixture(scope="module")
def reach(
    etcd_binary: EtcdBinary, etcd_server: RunningEtcd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Access]]:
    """`reach(kind)`: access to the one etcd of that kind, which is started when it is first asked for. It ends with the
    file: seven members that idle until all tests are done take more of the processor than starting them twice."""
    known = {"etcd": Access([etcd_server.endpoint])}
    running = []

    def access(kind: str) -> Access:
        if kind in known:
            return known[kind]
        count, tls, identity = KINDS[kind]
        folder = tmp_path_factory.mktemp(kind)
        authority = Authority(folder / "authority")
        server = ServerTls(authority.ca_file, *authority.issue("server", server=True)) if tls else None
        running.append(start_cluster(etcd_binary, folder, count, tls=server))
        known[kind] = client(running[-1].endpoints, authority if tls else None, identity)
        if identity:
            client(running[-1].endpoints, authority, "certificate").enable_auth(PASSWORD)
        return known[kind]

    yield access
    for one in running:
        one.stop()


def client(endpoints: list[str], authority: Authority | None, identity: str) -> Access:
    """How a test reaches them. With a certificate, its name is the user; with a password, it names nobody."""
    if authority is None:
        return Access(endpoints)
    files = tuple(map(str, authority.issue("root" if identity == "certificate" else "anyone")))
    given = [f"https://{endpoint}" for endpoint in endpoints]
    login = {"user": "root", "password": PASSWORD} if identity == "password" else {}
    return Access(given, str(authority.ca_file), *files, **login)


@pytest.fixture(params=["fake", "etcd", *KINDS])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world with an empty store."""
    made: World
    if request.param == "fake":
        made = FakeWorld()
    else:
        access: Access = request.getfixturevalue("reach")(request.param)
        access.wipe()
        made = EtcdWorld(access)
    yield made
    made.close()


@pytest.fixture
def store(world: World) -> Store:
    """One client."""
    return world.store()
