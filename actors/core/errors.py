"""The error classes of the design (section 5) and the tables that sort what a backend said into them.

Guarantees: every failure that reaches the state machine carries exactly one class, and its text never holds
a secret (adapters build the text, `redact` is their help). The tables are data: one test per row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class ErrorClass(StrEnum):
    """What can be done about a failure."""

    TRANSIENT = "transient"  # nothing was done; the same request may succeed later
    CONFLICT = (
        "conflict"  # somebody else is at it (action in progress, moved revision): look again, then retry
    )
    IN_DOUBT = "in_doubt"  # it may have been done: look before anything else
    NOT_FOUND = "not_found"  # the thing is not there
    QUOTA = "quota"  # a lasting shortage: retried slowly, shown to the operator
    TERMINAL = "terminal"  # no retry will help; only a new declaration or the operator
    INVALID = "invalid"  # the input is wrong: the text names key, template and parameter


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, as it travels in messages. `kind` is the short class name shown before the text in
    `/state` (contract 10.3: "<Class>: <message>"); `text` is for people and free of secrets."""

    error_class: ErrorClass
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"

    @property
    def retryable(self) -> bool:
        """Whether the state machine retries it with back-off."""
        return self.error_class in RETRYABLE


RETRYABLE = frozenset(
    {ErrorClass.TRANSIENT, ErrorClass.CONFLICT, ErrorClass.IN_DOUBT, ErrorClass.QUOTA, ErrorClass.NOT_FOUND}
)


#: Characters of what a backend says that are kept: more than a screen, less than what makes a message or a key heavy.
SAID_MAX = 4_000


def shortened(said: str, most: int = SAID_MAX) -> str:
    """Its beginning and its end, if it is longer than `most` characters. To be used after masking, not before."""
    if len(said) <= most:
        return said
    gap, end = f" … ({len(said):,} characters) … ", most // 4
    return said[: most - end - len(gap)] + gap + said[-end:]


class PortError(Exception):
    """Raised by every adapter and fake instead of its library's errors. Carries the sorted `failure`."""

    def __init__(self, error_class: ErrorClass, kind: str, text: str) -> None:
        super().__init__(error_class, kind, text)
        self.failure = Failure(error_class, kind, text)

    def __str__(self) -> str:
        return str(self.failure)


#: Heat's `error.type` → class (research/heat.md 3.6, 6.4). Looked up before the status code.
HEAT_BY_TYPE: dict[str, ErrorClass] = {
    "StackExists": ErrorClass.CONFLICT,
    "ActionInProgress": ErrorClass.CONFLICT,
    "RequestLimitExceeded": ErrorClass.QUOTA,
    "EntityNotFound": ErrorClass.NOT_FOUND,
    "StackValidationFailed": ErrorClass.TERMINAL,
    "UserParameterMissing": ErrorClass.TERMINAL,
    "UnknownUserParameter": ErrorClass.TERMINAL,
    "InvalidTemplateReference": ErrorClass.TERMINAL,
    "InvalidTemplateVersion": ErrorClass.TERMINAL,
    "InvalidSchemaError": ErrorClass.TERMINAL,
    "CircularDependencyException": ErrorClass.TERMINAL,
    "NotSupported": ErrorClass.TERMINAL,
    "HTTPBadRequest": ErrorClass.TERMINAL,
}

#: What one type says of two things: that a project has too many stacks, and that what is asked for is too big.
_TOO_BIG = re.compile(r"maximum allowed size|resources per stack|nested|recursion depth", re.IGNORECASE)
#: And another: what Heat never does with a stack, and what it does not do because the stack is just going away.
_GOING = re.compile(r"when it is deleting", re.IGNORECASE)

#: HTTP status → class, where the type said nothing. Anything from 500 on is transient.
HEAT_BY_STATUS: dict[int, ErrorClass] = {
    400: ErrorClass.TERMINAL,
    401: ErrorClass.TRANSIENT,
    403: ErrorClass.TERMINAL,
    404: ErrorClass.TRANSIENT,  # only EntityNotFound means "the stack is gone" (research/heat.md 3.4)
    405: ErrorClass.TERMINAL,
    408: ErrorClass.TRANSIENT,
    409: ErrorClass.CONFLICT,
    413: ErrorClass.QUOTA,
    429: ErrorClass.TRANSIENT,
}


def classify_heat(status: int, error_type: str, *, may_have_acted: bool, message: str = "") -> ErrorClass:
    """Sort an HTTP error of Heat. `may_have_acted`: the request was a write, so a 5xx is in doubt."""
    if error_type == "RequestLimitExceeded" and _TOO_BIG.search(message):
        return ErrorClass.TERMINAL
    if error_type == "NotSupported" and _GOING.search(message):
        return ErrorClass.CONFLICT
    by_type = HEAT_BY_TYPE.get(error_type)
    if by_type is not None:
        return by_type
    if status >= 500:
        return ErrorClass.IN_DOUBT if may_have_acted else ErrorClass.TRANSIENT
    return HEAT_BY_STATUS.get(status, ErrorClass.TERMINAL)
