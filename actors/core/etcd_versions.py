"""How far an etcd version can be trusted.

Guarantees: every version has a grade, an unknown one at most WARN; the remark says why, in a sentence for people.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Grade(StrEnum):
    """How far an etcd version can be trusted."""

    OK = "ok"
    WARN = "warn"  # works; has known bugs that this product works around or that auth users should know
    REFUSE = "refuse"  # loses acknowledged writes, or speaks too old a protocol: development only


def grade_version(version: str) -> tuple[Grade, str]:
    """Grade and remark of a version such as "3.5.16"."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if match is None:
        return Grade.WARN, f"etcd has the unknown version {version!r}"
    number = tuple(int(part) for part in match.groups())
    if number < (3, 4, 0):
        return Grade.REFUSE, f"etcd {version} is too old: 3.4 is the oldest that works"
    if (3, 5, 0) <= number <= (3, 5, 2):
        return Grade.REFUSE, f"etcd {version} LOSES ACKNOWLEDGED WRITES in a crash: for development only"
    good = (3, 4, 38) if number < (3, 5, 0) else (3, 5, 23)
    if number < good:
        wanted = ".".join(map(str, good))
        return (
            Grade.WARN,
            f"etcd {version} has known bugs in watches and authentication: use {wanted} or later",
        )
    return Grade.OK, ""
