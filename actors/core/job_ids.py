"""What a job id says: `<action>:<handler>:<type>:<id>:<version>:<suffix>` (contract 2.3).

Guarantees: any text is read, or is no job id; an id of a resource may have colons in it.
"""

from __future__ import annotations

from typing import Final

from actors.core.model import Action, Handler, Ref

#: Digits of the largest number of 63 bits.
_DIGITS_MAX = 19
#: How the id of a job begins whose stack others wait for (contract 2.5, producers).
_PRODUCING: Final = tuple(f"{action}:{Handler.HEAT}:" for action in (Action.CREATE, Action.MODIFY))


def resource_of(job_id: str) -> tuple[Ref, int] | None:
    """Resource and version of a job id; None for what is no job id."""
    _, _, kind, *rid, version, _ = parts if len(parts := job_id.split(":")) >= 6 else (":",) * 5
    number = small_number(version)
    return (Ref(kind, ":".join(rid)), number) if rid and number is not None else None


def produces(job_id: str) -> bool:
    """Whether it is that of a job that builds a stack."""
    return job_id.startswith(_PRODUCING)


def small_number(digits: str) -> int | None:
    """A number that is written in decimal digits and nothing else, and fits in 63 bits; None for anything else."""
    if not 0 < len(digits) <= _DIGITS_MAX or not (digits.isascii() and digits.isdigit()):
        return None
    number = int(digits)
    return number if number < 2**63 else None
