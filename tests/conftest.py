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

#: Where all tests are run, files are dealt to processes in this order, then all others: what takes longest is begun
#: first, so that no process is left alone with it in the end. Seconds are those of the processor, on 2 cores.
LONGEST = (
    "e2e/test_sim_real.py",  # waits most of its 150 to 250 s
    "sim/test_mutants.py",  # 70
    "e2e/test_tour.py",
    "e2e/test_deaths.py",
    "contract/test_heat_conformance.py",  # a real Heat, as the next three
    "contract/test_stacks.py",
    "contract/test_heat_faults.py",
    "contract/test_recorded_templates.py",
    "e2e/test_heat_kinds.py",
    "controllers/test_ownership.py",
    "e2e/test_troubles.py",
    "sim/test_simulation.py",
    "sim/test_seeds.py",
    "config/test_bootstrap.py",
    "actors/test_crash_equivalence.py",
    "e2e/test_replay.py",
    "e2e/test_standalone.py",
    "controllers/test_full_store.py",
    "e2e/test_apply.py",
    "e2e/test_traces.py",
    "contract/test_etcd_install.py",
    "contract/store/test_store.py",
    "contract/store/test_sessions.py",
    "actors/test_lost_messages.py",
    "e2e/test_snmpsim.py",
    "e2e/test_snmp_truth.py",
    "contract/test_agent_v3_hostile.py",
    "e2e/test_drift.py",
)

# How long one example takes says more about the machine than about the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the files into the order of LONGEST; tests of a file keep theirs."""
    ranks = {f"tests/{name}": rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))


@pytest.fixture(scope="session")
def etcd_binary() -> EtcdBinary:
    """A real etcd, downloaded on the first run; tests that need it are skipped where none can be had."""
    try:
        return find_etcd(default_cache_dir())
    except EtcdNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def etcd_server(etcd_binary: EtcdBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEtcd]:
    """One etcd for the tests of a file. Do not kill it: start your own with `etcd_binary` for that."""
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
