"""JSON as it is read from etcd and written to it.

Guarantees: what `parse` returns can be written again, compared, shown and passed on without a surprise: it is JSON
by RFC 8259 (no NaN, no infinity, no half of a surrogate pair), no deeper than DEPTH_MAX, and whole numbers are
exact whatever their size. Everything else is a ValueError, whose text says what is wrong: a value that somebody
wrote into etcd cannot make its reader fail in any other way. Does not guarantee anything about members.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from json import JSONEncoder

import orjson

from actors.core.model import Json

#: Arrays and objects within each other, at most. Nothing of the contract has more than ten; Python's own limit, which
#: ends the reader and not the value, is near a thousand. What others give us may be GIVEN_DEPTH_MAX deep, so that
#: what we write of it, which wraps it several times, can be read again.
DEPTH_MAX = 100
GIVEN_DEPTH_MAX = 50

#: To see whether there are numbers that only Python holds exactly: 64 bits are nineteen digits.
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19

_COMPACT = JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def parse(raw: bytes | str, depth_max: int = DEPTH_MAX) -> Json:
    """The value that `raw` (UTF-8) says. Raises ValueError."""
    data = raw.encode() if isinstance(raw, str) else raw
    value: Json = orjson.loads(data)
    if data.count(b"[") + data.count(b"{") > depth_max:
        _check_depth(value, depth_max)
    if _LONG_NUMBER in data.translate(_DIGITS_AS_ZERO):
        value = json.loads(data)  # that it is JSON, and how deep, is known by now
    return value


def _check_depth(value: Json, depth_max: int) -> None:
    level = [value]
    for _ in range(depth_max):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return
    if any(isinstance(one, list | dict) for one in level):
        raise ValueError(f"more than {depth_max} arrays and objects within each other")


def check_given(value: Json) -> None:
    """Raises ValueError if a value that somebody else made cannot be recorded and read again as it is."""
    _check_depth(value, GIVEN_DEPTH_MAX)
    same = parse(compact(value)) == value
    if not same:
        raise ValueError("a number that is none in JSON")


def compact(value: Json) -> bytes:
    """A value as it is stored: JSON, UTF-8, no needless spaces. Raises UnicodeEncodeError for what no text can hold."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a whole number of more than 64 bits
        return _COMPACT.encode(value).encode()


def text(value: Json) -> str:
    """JSON *text* inside JSON, in the spacing of the seed: `{"logical_port": "ACTIVE"}`."""
    return json.dumps(value)


def _parts(value: Json) -> Iterable[Json]:
    if isinstance(value, list):
        return value
    return value.values() if isinstance(value, dict) else ()
