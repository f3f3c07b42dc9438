"""The one error of the simulated Heat: an HTTP status, Heat's `error.type` and its message."""

from __future__ import annotations


class HeatError(Exception):
    """A refused request, as Heat's API shows it (research 3.2, 6.4)."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(status, error_type, message)
        self.status = status
        self.type = error_type
        self.message = message

    def __str__(self) -> str:
        return f"{self.status} {self.type}: {self.message}"


def bad_request(message: str) -> HeatError:
    """400 HTTPBadRequest: refused before the engine saw it."""
    return HeatError(400, "HTTPBadRequest", message)


def invalid(message: str) -> HeatError:
    """400 StackValidationFailed."""
    return HeatError(400, "StackValidationFailed", message)


def unknown_stack(name: str) -> HeatError:
    """404 EntityNotFound, the only 404 that means "this stack is gone"."""
    return HeatError(404, "EntityNotFound", f"The Stack ({name}) could not be found.")


def not_supported(what: str) -> HeatError:
    """400 NotSupported: a transition that Heat refuses."""
    return HeatError(400, "NotSupported", f"{what} is not supported.")
