"""The messages of reads and writes: pages, reads at one revision, and one transaction for many write sets.

A batch is ONE etcd transaction in which every write set is a nested transaction with guards of its own (the
fence is one of them), so that a failed guard does not hinder the neighbours. etcd evaluates all guards
before any write of the transaction; `core.batching` never puts two sets into one batch where that matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actors.adapters.etcd3_connection import rpc
from actors.ports import CommitResult, Delete, Entry, Guard, Put, WriteSet

READ_CHUNK = 100
#: Keys per transaction of `take_request` (nested twice: at most 125 with etcd's limit of 128).
TAKE_CHUNK = 100


def encode_key(key: str) -> bytes:
    """Keys that are no UTF-8 survive the way to text and back."""
    return key.encode("utf-8", "surrogateescape")


def decode_key(raw: bytes) -> str:
    """Inverse of `encode_key`."""
    return raw.decode("utf-8", "surrogateescape")


def entry(kv: Any) -> Entry:
    """An `Entry` from etcd's KeyValue."""
    return Entry(decode_key(kv.key), kv.value, kv.mod_revision, kv.create_revision)


def prefix_range(prefix: str) -> tuple[bytes, bytes]:
    """(first key, end of range) of all keys with that prefix; the empty prefix is the whole store."""
    first = encode_key(prefix)
    stem = first.rstrip(b"\xff")
    return first or b"\0", stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"


def page_request(prefix: str, after: str, limit: int, revision: int) -> Any:
    """Range request for one page; keys come in byte order."""
    first, end = prefix_range(prefix)
    start = max(first, encode_key(after) + b"\0") if after else first
    return rpc.RangeRequest(key=start, range_end=end, limit=limit, revision=revision)


def read_request(keys: Iterable[str], revision: int) -> Any:
    """Transaction of gets; `revision` 0 is now."""
    gets = (rpc.RangeRequest(key=encode_key(key), revision=revision) for key in keys)
    return rpc.TxnRequest(success=[rpc.RequestOp(request_range=get) for get in gets])


def found(response: Any) -> Iterable[Entry]:
    """The entries in the answer to `read_request`."""
    return (entry(kv) for op in response.responses for kv in op.response_range.kvs)


def commit_request(sets: Sequence[WriteSet]) -> Any:
    """The transaction for these sets."""
    puts = [write.key for one in sets for write in one.writes if isinstance(write, Put)]
    return rpc.TxnRequest(
        success=[rpc.RequestOp(request_txn=_nested(one)) for one in sets], failure=_weight(puts)
    )


def commit_result(response: Any, sets: Sequence[WriteSet]) -> CommitResult:
    """What the answer to `commit_request` says."""
    accepted = tuple(op.response_txn.succeeded for op in response.responses)
    assert len(accepted) == len(sets)
    return CommitResult(response.header.revision, accepted)


def take_request(keys: Sequence[str], owner: str, lease: int) -> Any:
    """Put `owner` with `lease` under each key that is free or already holds `owner`, and read it back."""
    return rpc.TxnRequest(
        success=[rpc.RequestOp(request_txn=_take(key, owner, lease)) for key in keys], failure=_weight(keys)
    )


def _weight(keys: Sequence[str]) -> list[Any]:
    """A put that never happens, since the outer transaction has no condition that could fail.

    etcd sums up the puts of a request for its quota, but does not look into nested transactions: without this our
    writes would pass for free, beyond the quota and in spite of a NOSPACE alarm, until the disk is full.
    """
    return [rpc.RequestOp(request_put=rpc.PutRequest(key=encode_key(key))) for key in keys[:1]]


def _take(key: str, owner: str, lease: int) -> Any:
    raw, value = encode_key(key), owner.encode()
    put = rpc.RequestOp(request_put=rpc.PutRequest(key=raw, value=value, lease=lease))
    show = rpc.RequestOp(request_range=rpc.RangeRequest(key=raw))
    same_owner = rpc.Compare(target=rpc.Compare.VALUE, result=rpc.Compare.EQUAL, key=raw, value=value)
    again = rpc.TxnRequest(compare=[same_owner], success=[put, show])
    return rpc.TxnRequest(
        compare=[_compare(Guard(key, 0))], success=[put, show], failure=[rpc.RequestOp(request_txn=again)]
    )


def taken(response: Any) -> Iterable[Entry]:
    """The entries that `take_request` wrote."""
    for op in response.responses:
        inner = op.response_txn
        if not inner.succeeded:
            inner = inner.responses[0].response_txn
        if inner.succeeded:
            yield entry(inner.responses[1].response_range.kvs[0])


def _nested(one: WriteSet) -> Any:
    return rpc.TxnRequest(
        compare=[_compare(guard) for guard in one.guards], success=[_op(write) for write in one.writes]
    )


def _compare(guard: Guard) -> Any:
    key = encode_key(guard.key)
    if guard.mod_revision == 0:
        target = rpc.Compare.CREATE
        return rpc.Compare(target=target, result=rpc.Compare.EQUAL, key=key, create_revision=0)
    target = rpc.Compare.MOD
    return rpc.Compare(target=target, result=rpc.Compare.EQUAL, key=key, mod_revision=guard.mod_revision)


def _op(write: Put | Delete) -> Any:
    key = encode_key(write.key)
    if isinstance(write, Put):
        return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=write.value))
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key))
