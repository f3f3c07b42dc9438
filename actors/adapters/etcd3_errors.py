"""What gRPC and etcd say, sorted into the error classes of the design (section 5).

Guarantees: a write whose request may have reached the server is IN_DOUBT, never TRANSIENT; the text carries
etcd's own words only, which hold neither values nor passwords nor tokens.
"""

from __future__ import annotations

from typing import Any

from actors.core.errors import ErrorClass, PortError

#: (gRPC status or "*", part of the text) → (class, kind). First match wins. Looked up before `_BY_STATUS`.
BY_TEXT: tuple[tuple[str, str, ErrorClass, str], ...] = (
    ("*", "database space exceeded", ErrorClass.QUOTA, "NoSpace"),
    ("*", "too many requests", ErrorClass.TRANSIENT, "TooManyRequests"),
    ("*", "request is too large", ErrorClass.INVALID, "TooLarge"),
    ("*", "message larger than max", ErrorClass.INVALID, "TooLarge"),
    ("*", "too many operations", ErrorClass.INVALID, "TooManyOperations"),
    ("*", "duplicate key given", ErrorClass.INVALID, "DuplicateKey"),
    ("*", "required revision has been compacted", ErrorClass.CONFLICT, "Compacted"),
    ("*", "required revision is a future revision", ErrorClass.CONFLICT, "FutureRevision"),
    ("*", "requested lease not found", ErrorClass.NOT_FOUND, "LeaseNotFound"),
    ("*", "invalid auth token", ErrorClass.TRANSIENT, "TokenExpired"),
    ("*", "revision of auth store is old", ErrorClass.TRANSIENT, "TokenExpired"),
    ("*", "user name is empty", ErrorClass.TERMINAL, "Unauthenticated"),
    ("*", "authentication failed", ErrorClass.TERMINAL, "Unauthenticated"),
    ("*", "permission denied", ErrorClass.TERMINAL, "PermissionDenied"),
    # The call never left this host: gRPC found no connected address to send it on.
    ("UNAVAILABLE", "failed to connect to all addresses", ErrorClass.TRANSIENT, "Unreachable"),
    ("UNAVAILABLE", "name resolution", ErrorClass.TRANSIENT, "Unreachable"),
    ("UNAVAILABLE", "dns resolution failed", ErrorClass.TRANSIENT, "Unreachable"),
    ("UNAVAILABLE", "no leader", ErrorClass.TRANSIENT, "NoLeader"),
)

_BY_STATUS: dict[str, tuple[ErrorClass, str]] = {
    "INVALID_ARGUMENT": (ErrorClass.INVALID, "BadRequest"),
    "OUT_OF_RANGE": (ErrorClass.INVALID, "BadRequest"),
    "NOT_FOUND": (ErrorClass.NOT_FOUND, "NotFound"),
    "PERMISSION_DENIED": (ErrorClass.TERMINAL, "PermissionDenied"),
    "UNAUTHENTICATED": (ErrorClass.TERMINAL, "Unauthenticated"),
    "FAILED_PRECONDITION": (ErrorClass.TERMINAL, "Refused"),
    "UNIMPLEMENTED": (ErrorClass.TERMINAL, "Unsupported"),
}

#: Any other status: the connection broke, the deadline passed, the server gave up. How far it got is unknown.
_LOST = {"DEADLINE_EXCEEDED": "Timeout", "UNAVAILABLE": "Unavailable", "CANCELLED": "Cancelled"}


def sort_error(status: str, details: str, *, writes: bool) -> PortError:
    """The PortError for a gRPC status name and its text. `writes`: the call changes the store on arrival."""
    words = details.lower()
    for wanted, part, error_class, kind in BY_TEXT:
        if wanted in ("*", status) and part in words:
            return PortError(error_class, kind, details)
    if status in _BY_STATUS:
        error_class, kind = _BY_STATUS[status]
        return PortError(error_class, kind, details)
    lost = ErrorClass.IN_DOUBT if writes else ErrorClass.TRANSIENT
    return PortError(lost, _LOST.get(status, "Lost"), f"{status}: {details}")


def from_rpc(error: Any, *, writes: bool) -> PortError:
    """Sort a `grpc.RpcError`."""
    code = error.code() if callable(getattr(error, "code", None)) else None
    details = error.details() if callable(getattr(error, "details", None)) else ""
    return sort_error(getattr(code, "name", "UNKNOWN"), str(details or ""), writes=writes)
