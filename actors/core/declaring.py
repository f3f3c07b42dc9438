"""What an API server writes to declare something, given what is there (contract 1.1).

Guarantees: pure; what is declared already is not written again, and a version only ever grows.
"""

from __future__ import annotations

from actors.core import keys
from actors.core.keys import BadValue
from actors.core.model import Ref


def declare(key: str, present: bytes | None, wanted: bytes) -> bytes | None:
    """What an API server would write to declare `wanted`: version 1 at first, one more than at present when the
    body changed, None if there is nothing to change. Templates keep their version (contract 1.1).

    Raises BadValue if `wanted` cannot be read; an unreadable value that is there is replaced.
    """
    if present is None or key.startswith(keys.TEMPLATES):
        return wanted if present != wanted else None
    new = keys.decode_declared(key, wanted, Ref("", ""), 0)
    try:
        old = keys.decode_declared(key, present, Ref("", ""), 0)
    except BadValue:
        return wanted
    if old.body == new.body and old.marked_for_deletion == new.marked_for_deletion:
        return None
    return keys.encode_declared(new.body, old.version + 1, marked_for_deletion=new.marked_for_deletion)
