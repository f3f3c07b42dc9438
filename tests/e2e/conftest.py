"""An etcd that the product is told of, instead of starting its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sim.etcd_http import Etcd
from sim.etcd_server import EtcdBinary, start_etcd


@pytest.fixture(scope="module")
def given_etcd(etcd_binary: EtcdBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """One for the tests of a module, empty at first."""
    running = start_etcd(etcd_binary, tmp_path_factory.mktemp("etcd"), allow_unsafe=True)
    yield Etcd(running.endpoint)
    running.stop()
