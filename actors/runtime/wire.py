"""Authenticated frames on a TCP stream.

A frame is `magic version length life mac(16)` followed by `length` bytes of body, of which the last 16 are a
MAC of the rest. Guarantees: not one byte of a body is buffered before the header's MAC has been checked in
constant time, and nothing is unpickled before the body's has; both need the key of this boot, which exists in
memory only and reaches children by fork. A frame for another `life` (a former owner of the port) is refused.
Does not guarantee secrecy: who can read the loopback traffic reads the messages and can replay them to the
same process. Loopback and the key are the boundary.
"""

from __future__ import annotations

import hmac
import os
import pickle
import struct
from hashlib import blake2b

_KEY = os.urandom(32)

MAGIC = b"GW"
VERSION = 1
MAC_SIZE = 16
_FIXED = struct.Struct(">2sHIQ")
HEADER_SIZE = _FIXED.size + MAC_SIZE

#: Largest body of a frame; a message bigger than this cannot be sent.
MAX_BODY = 64 * 1024 * 1024


class WireError(ValueError):
    """What arrived is not a frame of this system (or was damaged). Close the connection, say nothing."""


def _mac(data: bytes | memoryview, person: bytes) -> bytes:
    return blake2b(data, key=_KEY, digest_size=MAC_SIZE, person=person).digest()


def frame(payload: bytes, life: int = 0) -> bytes:
    """`payload` as a frame for the process `life` (0: whoever reads it). Raises ValueError if too large."""
    length = len(payload) + MAC_SIZE
    if length > MAX_BODY:
        raise ValueError(f"a message of {len(payload)} bytes is too large to be sent")
    fixed = _FIXED.pack(MAGIC, VERSION, length, life)
    return b"".join((fixed, _mac(fixed, b"head"), payload, _mac(payload, b"body")))


class FrameBuffer:
    """Takes the bytes of one frame; used by Thespian's transport in place of its ReceiveBuffer.

    The transport never reads more than `remainingAmount()`, so there is never anything beyond the frame.
    """

    def __init__(self, _unused: object = None) -> None:
        self.life = 0
        self._head = bytearray()
        self._body = bytearray()
        self._length: int | None = None
        self._verified = False

    def addMore(self, data: bytes) -> None:  # noqa: N802 - Thespian's name
        """Take some bytes. Raises WireError as soon as they cannot be a frame of ours."""
        if self._length is None:
            missing = HEADER_SIZE - len(self._head)
            self._head += data[:missing]
            data = data[missing:]
            self._check_magic()
            if len(self._head) < HEADER_SIZE:
                return
            self._open()
        self._body += data
        length = self._length or 0
        if len(self._body) > length:
            raise WireError("more bytes than announced")
        if len(self._body) == length and not self._verified:
            view = memoryview(self._body)
            if not hmac.compare_digest(_mac(view[:-MAC_SIZE], b"body"), bytes(view[-MAC_SIZE:])):
                raise WireError("the body is not authentic")
            self._verified = True

    def remainingAmount(self) -> int:  # noqa: N802 - Thespian's name
        """How many bytes to read next, at most."""
        if self._length is None:
            return HEADER_SIZE - len(self._head)
        return self._length - len(self._body)

    def isDone(self) -> bool:  # noqa: N802 - Thespian's name
        """Whether a whole authentic frame is there."""
        return self._verified

    def completed(self) -> tuple[object, bytes] | None:
        """The object in the frame, or None if the frame is not complete. Raises what unpickling raises."""
        if not self._verified:
            return None
        payload = memoryview(self._body)[:-MAC_SIZE]
        return pickle.loads(payload), b""  # noqa: S301 - authenticated two lines above, in addMore

    def removeExtra(self) -> None:  # noqa: N802 - Thespian's name
        """Nothing to remove, ever."""

    def is_empty(self) -> bool:
        """Whether nothing has arrived."""
        return not self._head

    def __str__(self) -> str:
        return f"{len(self._body)} of {self._length} bytes"

    def _check_magic(self) -> None:
        if self._head[:2] != MAGIC[: len(self._head)]:
            raise WireError("not a frame")

    def _open(self) -> None:
        fixed = bytes(self._head[: _FIXED.size])
        if not hmac.compare_digest(_mac(fixed, b"head"), bytes(self._head[_FIXED.size :])):
            raise WireError("the header is not authentic")
        _, version, length, self.life = _FIXED.unpack(fixed)
        if version != VERSION:
            raise WireError(f"wire version {version}, not {VERSION}")
        if not MAC_SIZE <= length <= MAX_BODY:
            raise WireError(f"impossible length {length}")
        self._length = length


class NoPickle:
    """Stands where Thespian keeps its serializer, so that no forgotten path can unpickle raw bytes."""

    @staticmethod
    def dumps(_message: object) -> bytes:
        """Never: frames are made by `frame`."""
        raise WireError("unauthenticated serialisation is disabled")

    @staticmethod
    def loads(_data: object) -> object:
        """Never: frames are read by FrameBuffer."""
        raise WireError("unauthenticated serialisation is disabled")
