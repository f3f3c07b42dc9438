"""Fixtures for a real etcd, and the patience of property tests.

Nothing here imports gRPC: a process that has touched it must not fork.
"""

from __future__ import annotations

import base64
import http.client
import json
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from sim.etcd_server import (
    EtcdBinary,
    EtcdNotFoundError,
    RunningEtcd,
    default_cache_dir,
    find_etcd,
    start_etcd,
)

# A shell that starts us in the background has us ignore Ctrl-C, and with us everything that we start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def etcd_binary() -> EtcdBinary:
    """A real etcd, downloaded on the first run; tests that need it are skipped where none can be had."""
    try:
        return find_etcd(default_cache_dir())
    except EtcdNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def etcd_server(etcd_binary: EtcdBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEtcd]:
    """One etcd for all tests. Do not kill it: start your own with `etcd_binary` for that."""
    etcd = start_etcd(etcd_binary, tmp_path_factory.mktemp("etcd"), allow_unsafe=True)
    yield etcd
    etcd.stop()


@pytest.fixture
def etcd_endpoint(etcd_server: RunningEtcd) -> str:
    """`host:port` of an etcd that holds no keys."""
    wipe(etcd_server.endpoint)
    return etcd_server.endpoint


def wipe(endpoint: str) -> None:
    """Delete every key, by way of etcd's JSON gateway."""
    everything = base64.b64encode(b"\0").decode()
    connection = http.client.HTTPConnection(endpoint, timeout=10)
    try:
        body = json.dumps({"key": everything, "range_end": everything})
        connection.request("POST", "/v3/kv/deleterange", body)
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    finally:
        connection.close()
