"""Which writes would change nothing: what was written last, as digests, for a bounded number of keys.

Guarantees: a write is called the same only if it is byte for byte what this process wrote last under the key,
and nothing else has been seen there since. Bounded; the longest unused are forgotten first. Whoever loses the
right to write must `clear`: others may write from then on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Protocol

KEYS_MAX = 20_000


class KeyValue(Protocol):
    """A write that sets a value."""

    @property
    def key(self) -> str:
        """Where."""

    @property
    def value(self) -> bytes:
        """What."""


class Unchanged:
    """Digests of the last values written, and the revisions of those writes."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._last: OrderedDict[str, tuple[bytes, int]] = OrderedDict()

    def same(self, write: KeyValue) -> bool:
        """Whether the key holds exactly this value already."""
        known = self._last.get(write.key)
        return known is not None and known[0] == _digest(write.value)

    def wrote(self, writes: Iterable[object], revision: int) -> None:
        """These writes took effect: values are remembered, deletions forget."""
        for write in writes:
            key, value = str(getattr(write, "key", "")), getattr(write, "value", None)
            if isinstance(value, bytes):
                self._last[key] = (_digest(value), revision)
                self._last.move_to_end(key)
            else:
                self._last.pop(key, None)
        while len(self._last) > self._keys_max:
            self._last.popitem(last=False)

    def seen(self, key: str, revision: int) -> None:
        """The key was written at `revision` (0: deleted), by whomever. Our own writes come by here too."""
        known = self._last.get(key)
        if known is not None and (revision == 0 or revision > known[1]):
            del self._last[key]

    def clear(self) -> None:
        """Forget everything."""
        self._last.clear()


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()
