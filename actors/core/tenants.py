"""What can be a tenant: it becomes one segment of the paths that Heat is asked by, and a project of Keystone's.

A tenant that is none would be asked for again and again, at an address that is not Heat's own.
"""

from __future__ import annotations

from typing import Final

from actors.core.model import JsonObject

#: As long as Heat's own column.
_LONGEST: Final = 255


def wrong_tenant(body: JsonObject) -> str:
    """What is wrong with `tenant_id` of a declaration; "" if it can be one, or is left out (contract 10.19)."""
    given = body.get("tenant_id")
    if given is None or given == "":
        return ""
    if not isinstance(given, str):
        return "tenant_id must be text"
    if given in (".", "..") or "/" in given or not given.isprintable() or len(given) > _LONGEST:
        return f"tenant_id {given[:40]!r} cannot be the id of a tenant"
    return ""
