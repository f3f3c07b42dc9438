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
    """Digests of the last values written, and the revisions of those writes.

    The answer to a write may be heard after the watch has shown what somebody else did since: what was seen is
    remembered too, so that such an answer is not taken for the last word.
    """

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        #: key → digest of its value (None: not ours), and the revision up to which that is known
        self._last: OrderedDict[str, tuple[bytes | None, int]] = OrderedDict()
        self._forgotten = 0  # up to this revision anything may have been seen of any key

    def same(self, write: KeyValue) -> bool:
        """Whether the key holds exactly this value already."""
        known = self._last.get(write.key)
        return known is not None and known[0] == _digest(write.value)

    def wrote(self, writes: Iterable[object], revision: int) -> None:
        """These writes took effect: values are remembered, deletions forget."""
        for write in writes:
            key, value = str(getattr(write, "key", "")), getattr(write, "value", None)
            if revision > self._forgotten and revision >= self._last.get(key, (None, 0))[1]:
                self._set(key, _digest(value) if isinstance(value, bytes) else None, revision)

    def seen(self, key: str, revision: int) -> None:
        """The key was written or deleted, by whomever, at this revision or (a deletion) before. Our own writes come
        by here too."""
        if revision > self._last.get(key, (None, 0))[1]:
            self._set(key, None, revision)

    def clear(self, revision: int = 0) -> None:
        """Forget everything, and believe no answer about what happened up to this revision."""
        known = (at for _, at in self._last.values())
        self._forgotten = max(self._forgotten, revision, *known)
        self._last.clear()

    def _set(self, key: str, digest: bytes | None, revision: int) -> None:
        self._last[key] = (digest, revision)
        self._last.move_to_end(key)
        while len(self._last) > self._keys_max:
            _, (_, known) = self._last.popitem(last=False)
            self._forgotten = max(self._forgotten, known)


def _digest(value: bytes) -> bytes:
    return blake2b(value, digest_size=16).digest()
