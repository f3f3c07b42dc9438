"""What a controller asks of etcd, read off the wire: HTTP/2 frames, gRPC messages, transactions.

Guarantees: standard library only, and nothing of the product's: who checks a writer should not read through its
eyes. Understands transactions and their answers, the only calls that write keys, and passes over everything else.
Does not decompress headers: what a call is shows in its message. Compressed messages (gRPC does not by default) and
padded frames of other kinds are not read; a write that was not understood is found by the checker, as nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from actors.ports import Delete, Guard, Put, WriteSet

_PREFACE = 24
_DATA, _PADDED = 0, 8
_VARINT, _I64, _BYTES, _I32 = 0, 1, 2, 5
_MOD, _CREATE = 2, 1

Field = tuple[int, int | bytes]


class NotProtobuf(ValueError):
    """These bytes are no message."""


# ---------------------------------------------------------------------------------------------- protobuf


def fields(raw: bytes) -> list[Field]:
    """The fields of a message in order: (number, integer or bytes). Raises NotProtobuf."""
    found: list[Field] = []
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(raw, at)
            found.append((number, value))
            continue
        if kind == _BYTES:
            size, at = _varint(raw, at)
        elif kind in (_I64, _I32):
            size = 8 if kind == _I64 else 4
        else:
            raise NotProtobuf(f"wire type {kind}")
        if not number or at + size > len(raw):
            raise NotProtobuf("cut off")
        found.append((number, raw[at : at + size]))
        at += size
    return found


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise NotProtobuf("cut off")
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _all(message: list[Field], number: int) -> list[bytes]:
    found = [value for key, value in message if key == number]
    if any(isinstance(value, int) for value in found):
        raise NotProtobuf(f"field {number} is a number")
    return [value for value in found if isinstance(value, bytes)]


def _number(message: list[Field], number: int) -> int:
    for key, value in message:
        if key == number and isinstance(value, int):
            return value
    return 0


def _text(message: list[Field], number: int) -> str:
    return b"".join(_all(message, number)[:1]).decode("utf-8", "surrogateescape")


# ------------------------------------------------------------------------------------------ transactions


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition. `mod_revision` None: about something else than when it was last written."""

    key: str
    mod_revision: int | None


@dataclass(frozen=True, slots=True)
class Txn:
    """A transaction. Branches hold puts, deletions and nested transactions; reads are left out as None."""

    compares: tuple[Compare, ...]
    success: tuple[Put | Delete | Txn | None, ...]
    failure: tuple[Put | Delete | Txn | None, ...]


@dataclass(frozen=True, slots=True)
class TxnReply:
    """The answer. `inner`: those of nested transactions, None for other operations."""

    revision: int
    succeeded: bool
    inner: tuple[TxnReply | None, ...]


def read_txn(raw: bytes) -> Txn | None:
    """The TxnRequest in these bytes; None if they are another request."""
    try:
        message = fields(raw)
        if {number for number, _ in message} - {1, 2, 3}:
            return None
        compares = tuple(_compare(fields(one)) for one in _all(message, 1))
        branches = [tuple(_op(fields(one)) for one in _all(message, number)) for number in (2, 3)]
    except NotProtobuf:
        return None
    return Txn(compares, branches[0], branches[1]) if branches[0] or branches[1] else None


def _compare(message: list[Field]) -> Compare:
    key = _text(message, 3)
    if not key:
        raise NotProtobuf("a compare has a key")
    target = _number(message, 2)
    if target == _CREATE and not _number(message, 5):
        return Compare(key, 0)
    return Compare(key, _number(message, 6) if target == _MOD else None)


def _op(message: list[Field]) -> Put | Delete | Txn | None:
    if len(message) != 1:
        raise NotProtobuf("an operation is one thing")
    number, raw = message[0]
    if not isinstance(raw, bytes) or number not in (1, 2, 3, 4):
        raise NotProtobuf("an operation is a message")
    inner = fields(raw)
    if number == 2:
        return Put(_text(inner, 1), b"".join(_all(inner, 2)))
    if number == 3:
        return Delete(_text(inner, 1))
    if number == 4:
        return read_txn(raw)
    return None


def read_reply(raw: bytes) -> TxnReply | None:
    """The TxnResponse in these bytes; None if they are none."""
    try:
        message = fields(raw)
        header = b"".join(_all(message, 1)[:1])
        inner = []
        for one in _all(message, 3):
            kind, answer = fields(one)[0]
            inner.append(read_reply(answer) if kind == 4 and isinstance(answer, bytes) else None)
        return TxnReply(_number(fields(header), 3), bool(_number(message, 2)), tuple(inner))
    except (NotProtobuf, IndexError):
        return None


def write_sets(txn: Txn, reply: TxnReply | None) -> Iterator[WriteSet]:
    """What a transaction did by its answer; without one, everything that it may have done."""
    branches = [txn.success, txn.failure]
    if reply is not None:
        branches = [txn.success if reply.succeeded else txn.failure]
    guards = tuple(Guard(c.key, c.mod_revision) for c in txn.compares if c.mod_revision is not None)
    for branch in branches:
        writes = tuple(op for op in branch if isinstance(op, Put | Delete))
        if writes:
            yield WriteSet(writes, guards)
        inner = reply.inner if reply is not None else (None,) * len(branch)
        for op, answer in zip(branch, inner, strict=False):
            if isinstance(op, Txn):
                yield from write_sets(op, answer)


# ------------------------------------------------------------------------------------------------ frames


class Frames:
    """One direction of an HTTP/2 connection: bytes in, (stream, gRPC message) out."""

    def __init__(self, *, client: bool) -> None:
        self._raw = bytearray()
        self._skip = _PREFACE if client else 0
        self._streams: dict[int, bytearray] = {}

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The messages that are complete now."""
        self._raw += data
        if self._skip:
            cut = min(self._skip, len(self._raw))
            del self._raw[:cut]
            self._skip -= cut
        while len(self._raw) >= 9:
            size = int.from_bytes(self._raw[:3], "big")
            if len(self._raw) < 9 + size:
                return
            kind, flags = self._raw[3], self._raw[4]
            stream = int.from_bytes(self._raw[5:9], "big") & 0x7FFFFFFF
            body = bytes(self._raw[9 : 9 + size])
            del self._raw[: 9 + size]
            if kind == _DATA:
                yield from self._data(stream, _unpadded(body) if flags & _PADDED else body)

    def _data(self, stream: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        held = self._streams.setdefault(stream, bytearray())
        held += body
        while len(held) >= 5:
            size = int.from_bytes(held[1:5], "big")
            if len(held) < 5 + size:
                return
            message = bytes(held[5 : 5 + size])
            del held[: 5 + size]
            yield stream, message
        if not held:
            del self._streams[stream]


def _unpadded(body: bytes) -> bytes:
    return body[1 : len(body) - body[0]]


@dataclass(slots=True)
class Asked:
    """One transaction that was sent on. `answer` None: none came (yet)."""

    txn: Txn
    at: float
    answer: TxnReply | None = None
    _possible: tuple[WriteSet, ...] = field(default=())

    @property
    def sets(self) -> tuple[WriteSet, ...]:
        """What it did, or may have done."""
        if not self._possible or self.answer is not None:
            self._possible = tuple(write_sets(self.txn, self.answer))
        return self._possible


class Conversation:
    """Both directions of one connection; what was asked is added to `asked` before it is sent on."""

    def __init__(self, asked: list[Asked]) -> None:
        self._asked = asked
        self._there, self._back = Frames(client=True), Frames(client=False)
        self._open: dict[int, Asked] = {}

    def sent(self, data: bytes, now: float) -> None:
        """Bytes from the controller to etcd."""
        for stream, message in self._there.feed(data):
            txn = read_txn(message)
            if txn is not None and any(True for _ in write_sets(txn, None)):
                self._open[stream] = asked = Asked(txn, now)
                self._asked.append(asked)

    def answered(self, data: bytes) -> None:
        """Bytes from etcd to the controller."""
        for stream, message in self._back.feed(data):
            asked = self._open.pop(stream, None)
            if asked is not None:
                asked.answer = read_reply(message)
