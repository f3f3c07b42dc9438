"""Measured values on their way out: Prometheus text, and HTTP put to a real server that may fail."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, TCPServer
from typing import Any, ClassVar

import pytest

from actors.adapters.opentsdb_put import OpentsdbPut
from actors.core.measurements import PUT_POINTS_MAX, STALE_S, Measurements, put_bodies
from actors.core.readings import Point

POINT = Point("traffic.bytes", 125000.5, (("direction", "in"), ("resource_id", 'x"1')))


class Store(BaseHTTPRequestHandler):
    """Answers with `status` and remembers."""

    status: ClassVar[int] = 204
    got: ClassVar[list[tuple[str, str, Any]]] = []

    def do_POST(self) -> None:
        """A put."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, self.headers.get("Authorization", ""), json.loads(body)))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def store() -> Iterator[str]:
    """A server on loopback; its host:port."""
    Store.status, Store.got = 204, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def until(condition) -> None:
    """Poll for it."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_points_arrive_with_names_and_tags(store):
    """A point is put as the contract has it, with login, and odd characters replaced."""
    put = OpentsdbPut(f"http://esi:pass%40word@{store}/")
    put.offer(1700000000.7, [POINT])
    until(lambda: put.taken == 1)
    put.close()
    path, login, (point,) = Store.got[0]
    assert (path, login) == ("/api/put", "Basic ZXNpOnBhc3NAd29yZA==")
    assert point == {
        "metric": "traffic.bytes",
        "timestamp": 1700000000,
        "value": 125000.5,
        "tags": {"direction": "in", "resource_id": "x_1"},
    }


def test_a_failing_store_costs_nothing(store, caplog):
    """Errors are logged once and the points given up; a store that is back is used again."""
    Store.status = 500
    put = OpentsdbPut(f"http://{store}", queue_max=3, pause_s=0.01)
    for _ in range(20):
        put.offer(1.0, [POINT])
    until(lambda: put.dropped >= 18)
    Store.status = 204
    until(lambda: not put._queue.qsize())
    taken = put.taken
    put.offer(1.0, [POINT])
    until(lambda: put.taken > taken)
    put.close()
    assert len([r for r in caplog.records if "does not take" in r.message]) == 1
    assert put.dropped + put.taken == 21


def test_the_log_says_why_a_store_does_not_take_values(store, caplog):
    """The number of its answer, or what kept it from being reached."""
    Store.status = 403
    for url in (f"http://{store}", "http://127.0.0.1:1"):
        put = OpentsdbPut(url, pause_s=0.01)
        put.offer(1.0, [POINT])
        until(lambda: put.dropped == 1)  # noqa: B023 - waited for at once
        put.close()
    told = [r.getMessage() for r in caplog.records]
    assert told == [
        "the time-series store does not take values: it answers with HTTP 403",
        "the time-series store does not take values: Connection refused",
    ]


def test_what_speaks_no_http_is_a_store_that_fails(caplog):
    """Another service at that address costs the points and not the thread that puts them."""

    class Banner(BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-2.0-x\r\n")
            self.request.recv(65536)

    with TCPServer(("127.0.0.1", 0), Banner) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        put = OpentsdbPut(f"http://127.0.0.1:{server.server_address[1]}", pause_s=0.01)
        put.offer(1.0, [POINT])
        try:
            until(lambda: put.dropped == 1)
        finally:
            put.close()
            server.shutdown()
            thread.join()
    assert "no answer in HTTP" in caplog.text


def test_no_store_and_no_address():
    """Nobody listens: offers are dropped without a wait. An address that is none is refused at once."""
    put = OpentsdbPut("http://127.0.0.1:1", queue_max=1, pause_s=30.0)
    began = time.monotonic()
    for _ in range(100):
        put.offer(1.0, [POINT])
    put.close()
    assert time.monotonic() - began < 5
    assert put.dropped >= 97
    with pytest.raises(ValueError, match="not an http"):
        OpentsdbPut("localhost:4242")


def test_bodies_are_bounded():
    """Many points go in several requests of limited size."""
    bodies = list(put_bodies(1.0, [POINT] * 60))
    assert [len(json.loads(body)) for body in bodies] == [PUT_POINTS_MAX, PUT_POINTS_MAX, 10]
    assert all(len(body) < 4096 for body in bodies)


def test_text_for_prometheus():
    """Each metric is one family with all its labels escaped; stale devices are not shown any more."""
    known = Measurements()
    known.take("10.0.0.1|C", "10.0.0.1", 1000.0, (POINT,))
    known.take("10.0.0.2|C", "10.0.0.2", 1500.0, (Point("cpu.percents", 7.0, (("type", "user"),)),))
    text = known.text(1000.0 + STALE_S)
    assert 'traffic_bytes{device="10.0.0.1",direction="in",resource_id="x\\"1"} 125000.5\n' in text
    assert text.count("# TYPE traffic_bytes gauge\n") == 1
    assert 'cpu_percents{device="10.0.0.2",type="user"} 7\n' in text
    assert "traffic_bytes" not in known.text(1001.0 + STALE_S)


def test_two_community_names_of_one_device_are_shown_side_by_side():
    """What is read under one name does not hide the other's; a series that changed over is shown once, as newest."""
    known, moved = Measurements(), Point("cpu.percents", 2.0, (("type", "user"),))
    known.take("10.0.0.1|A", "10.0.0.1", 1001.0, (moved,))
    known.take("10.0.0.1|B", "10.0.0.1", 1000.0, (POINT, Point("cpu.percents", 1.0, (("type", "user"),))))
    lines = [line for line in known.text(1002.0).splitlines() if not line.startswith("#")]
    assert [line.rpartition(" ")[2] for line in lines] == ["2", "125000.5"]
