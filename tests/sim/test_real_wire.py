"""Reading transactions off the wire: what the product's own client sends is understood without its help."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.adapters import etcd3_txn
from actors.adapters.etcd3_connection import rpc
from actors.ports import Delete, Guard, Put, WriteSet
from sim.etcd_http import Etcd
from sim.etcd_server import EtcdBinary, RunningEtcd, start_etcd
from sim.real.gateway import Members, Recorder
from sim.real.tap import Tap
from sim.real.wire import Frames, Txn, fields, read_reply, read_txn, write_sets
from tests.contract.etcd_worlds import Access, until

FENCED = WriteSet((Put("/state/a", b"1"), Delete("/jobs/all/a")), (Guard("/gatewright/shards/7", 42),))
FRESH = WriteSet((Put("/state/b", b"\x00\xff"),), (Guard("/state/b", 0),))


def frame(stream: int, body: bytes, kind: int = 0, flags: int = 0) -> bytes:
    """One HTTP/2 frame."""
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def message(body: bytes) -> bytes:
    """One gRPC message."""
    return b"\0" + len(body).to_bytes(4, "big") + body


def asked(sets: list[WriteSet]) -> Txn:
    """What is read of the transaction that the adapter makes of these sets."""
    txn = read_txn(etcd3_txn.commit_request(sets).SerializeToString())
    assert txn is not None
    return txn


def answer(*accepted: bool) -> bytes:
    """etcd's answer to a batch of sets."""
    inner = [rpc.ResponseOp(response_txn=rpc.TxnResponse(succeeded=each)) for each in accepted]
    header = rpc.ResponseHeader(revision=77)
    return bytes(rpc.TxnResponse(header=header, succeeded=True, responses=inner).SerializeToString())


def test_a_batch_is_read_as_it_was_written() -> None:
    """Guards, puts and deletions of every set come out as they went in; unanswered, all of them are possible."""
    possible = list(write_sets(asked([FENCED, FRESH]), None))
    assert possible[:2] == [FENCED, FRESH]


def test_the_answer_tells_which_sets_were_written() -> None:
    """Of a batch in which one guard did not hold only the other set counts, at etcd's revision."""
    reply = read_reply(answer(False, True))
    assert reply is not None
    assert reply.revision == 77
    assert list(write_sets(asked([FENCED, FRESH]), reply)) == [FRESH]


@pytest.mark.parametrize(
    "request_",
    [
        rpc.RangeRequest(key=b"/config/", range_end=b"/config0", limit=3),
        rpc.LeaseGrantRequest(TTL=3, ID=99),
        rpc.LeaseKeepAliveRequest(ID=99),
        rpc.CompactionRequest(revision=5),
        rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=b"/", range_end=b"0", start_revision=9)),
        etcd3_txn.read_request(["/a", "/b"], 0),
    ],
    ids=lambda request: type(request).__name__,
)
def test_what_writes_nothing_is_passed_over(request_: object) -> None:
    """Reads, leases, watches and compactions are no writes."""
    txn = read_txn(request_.SerializeToString())  # type: ignore[attr-defined]
    assert txn is None or list(write_sets(txn, None)) == []


def test_frames_may_come_in_any_pieces() -> None:
    """Messages that are split over frames, frames that are split over reads, padding, and other frames between."""
    body = message(b"first") + message(b"second" * 40)
    data = b"x" * 24 + frame(0, b"settings", kind=4) + frame(1, body[:7])
    data += frame(3, message(b"other")) + frame(1, bytes([3]) + body[7:] + b"\0\0\0", flags=8)
    for size in (1, 5, len(data)):
        frames = Frames(client=True)
        found = [one for at in range(0, len(data), size) for one in frames.feed(data[at : at + size])]
        assert sorted(found) == [(1, b"first"), (1, b"second" * 40), (3, b"other")]


def test_what_is_no_message_is_said_to_be_none() -> None:
    """Bytes that are cut off or no protocol buffer at all."""
    assert read_txn(b"\x0a\x05abc") is None
    assert read_txn(b"/config/v2.0") is None
    assert read_reply(b"\xff") is None
    with pytest.raises(ValueError, match="wire type"):
        fields(b"\x0b")


@pytest.fixture
def etcd(etcd_binary: EtcdBinary, tmp_path: Path) -> Iterator[RunningEtcd]:
    """A real etcd."""
    running = start_etcd(etcd_binary, tmp_path / "etcd", allow_unsafe=True)
    yield running
    running.stop()


@pytest.fixture
def tap() -> Iterator[Tap]:
    """A tap."""
    tap = Tap()
    yield tap
    tap.close()


def test_the_real_client_is_overheard(etcd: RunningEtcd, tap: Tap) -> None:
    """Whatever the product's store writes through the tap is known with guards and revision, as etcd's history has it;
    ownership is taken in transactions that are known too."""
    line = tap.line([("127.0.0.1", etcd.ports[0])])
    store = Access([f"127.0.0.1:{line.ports[0]}"]).open(timeout_s=5.0)
    try:
        session = store.session(10.0)
        taken = session.take(["/gatewright/shards/7"], "me")["/gatewright/shards/7"]
        guard = Guard(taken.key, taken.mod_revision)
        good, bad = (
            WriteSet((Put("/state/a", b"1"),), (guard,)),
            WriteSet((Put("/state/b", b"2"),), (Guard("/x", 9),)),
        )
        result = store.commit([good, bad])
        assert result.accepted == (True, False)
        until(lambda: len(line.asked) == 2 and all(one.answer is not None for one in line.asked))
        first, second = line.asked
        assert [write.key for one in first.sets for write in one.writes] == ["/gatewright/shards/7"]
        assert second.answer is not None
        assert (second.sets, second.answer.revision) == ((good,), result.revision)
    finally:
        store.close()


def test_a_stalled_line_holds_everything_back(etcd: RunningEtcd, tap: Tap) -> None:
    """While it is stalled nothing reaches etcd; afterwards everything does; what is cut is reset."""
    line = tap.line([("127.0.0.1", etcd.ports[0])])
    near, far = Etcd(f"127.0.0.1:{line.ports[0]}"), Etcd(etcd.endpoint)
    tap.stall(line, on=True)
    writing = threading.Thread(target=lambda: near.put("/config/x", b"1"))
    writing.start()
    writing.join(0.5)
    assert writing.is_alive()
    assert far.entry("/config/x") is None
    tap.stall(line, on=False)
    writing.join(10.0)
    assert far.get("/config/x") == 1
    quiet = near.watch(1, 20.0)
    assert next(quiet) == []
    tap.cut(line)
    with pytest.raises((OSError, ValueError, StopIteration)):
        for _ in range(10):
            next(quiet)


def test_the_recorder_has_every_revision(etcd: RunningEtcd) -> None:
    """In order and once each, deletions and several keys of one revision included; what is compacted is said to be."""
    ended = threading.Event()
    members, recorder = Members([etcd.endpoint], ended), Recorder([etcd.endpoint], ended)
    members.write({"/config/a": b"1", "/config/b": b"2"})
    members.write({"/config/a": None})
    last = members.write({"/config/c": json.dumps({"x": 1}).encode()})
    until(lambda: recorder.revision >= last)
    seen = [(one.number, sorted((c.key, c.value) for c in one.changes)) for one in recorder.all]
    assert seen == [
        (2, [("/config/a", b"1"), ("/config/b", b"2")]),
        (3, [("/config/a", None)]),
        (4, [("/config/c", b'{"x": 1}')]),
    ]
    members.ask(lambda one: one.compact(last))
    late = Recorder([etcd.endpoint], ended)
    until(lambda: bool(late.lost))
    ended.set()
    recorder.close()
    late.close()
