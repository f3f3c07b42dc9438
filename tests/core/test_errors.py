"""The tables of error classes: one case per row, the order in which they are asked, what is retried."""

from __future__ import annotations

import pytest

from actors.core.errors import (
    HEAT_BY_STATUS,
    HEAT_BY_TYPE,
    RETRYABLE,
    SAID_MAX,
    ErrorClass,
    Failure,
    PortError,
    classify_heat,
    shortened,
)

CONFLICT, QUOTA, TERMINAL = ErrorClass.CONFLICT, ErrorClass.QUOTA, ErrorClass.TERMINAL
TRANSIENT, IN_DOUBT, NOT_FOUND = ErrorClass.TRANSIENT, ErrorClass.IN_DOUBT, ErrorClass.NOT_FOUND

#: (status as Heat sends it, error.type, class): research/heat.md 3.6 and 6.4.
BY_TYPE = [
    (409, "StackExists", CONFLICT),
    (409, "ActionInProgress", CONFLICT),
    (403, "RequestLimitExceeded", QUOTA),
    (404, "EntityNotFound", NOT_FOUND),
    (400, "StackValidationFailed", TERMINAL),
    (400, "UserParameterMissing", TERMINAL),
    (400, "UnknownUserParameter", TERMINAL),
    (400, "InvalidTemplateReference", TERMINAL),
    (400, "InvalidTemplateVersion", TERMINAL),
    (400, "InvalidSchemaError", TERMINAL),
    (400, "CircularDependencyException", TERMINAL),
    (400, "NotSupported", TERMINAL),
    (400, "HTTPBadRequest", TERMINAL),
]
BY_STATUS = [
    (400, TERMINAL),
    (401, TRANSIENT),
    (403, TERMINAL),
    (404, TRANSIENT),
    (405, TERMINAL),
    (408, TRANSIENT),
    (409, CONFLICT),
    (413, QUOTA),
    (429, TRANSIENT),
]


@pytest.mark.parametrize(("status", "error_type", "error_class"), BY_TYPE)
@pytest.mark.parametrize("acted", [False, True])
def test_heat_by_type(status: int, error_type: str, error_class: ErrorClass, acted: bool) -> None:
    """The type decides, whatever the status and whether the request was a write."""
    assert classify_heat(status, error_type, may_have_acted=acted) is error_class
    assert classify_heat(599, error_type, may_have_acted=acted) is error_class


@pytest.mark.parametrize(
    ("error_type", "message", "error_class"),
    [
        (
            "RequestLimitExceeded",
            "You have reached the maximum stacks per tenant, 5. Please delete some",
            QUOTA,
        ),
        ("RequestLimitExceeded", "Template size (9 bytes) exceeds maximum allowed size (5 bytes).", TERMINAL),
        (
            "RequestLimitExceeded",
            "JSON body size (9 bytes) exceeds maximum allowed size (5 bytes).",
            TERMINAL,
        ),
        ("RequestLimitExceeded", "Maximum resources per stack exceeded.", TERMINAL),
        ("RequestLimitExceeded", "Recursion depth exceeds 5.", TERMINAL),
        ("NotSupported", "Updating a stack when it is suspended is not supported.", TERMINAL),
        ("NotSupported", "Updating a stack when it is deleting is not supported.", CONFLICT),
    ],
)
def test_where_one_type_means_two_things_the_text_decides(
    error_type: str, message: str, error_class: ErrorClass
) -> None:
    """What will pass is waited for, what is too big or never done is final."""
    assert classify_heat(400, error_type, may_have_acted=True, message=message) is error_class


@pytest.mark.parametrize(("status", "error_class"), BY_STATUS)
@pytest.mark.parametrize("acted", [False, True])
def test_heat_by_status(status: int, error_class: ErrorClass, acted: bool) -> None:
    """Where the type says nothing, the status decides."""
    assert classify_heat(status, "SomethingElse", may_have_acted=acted) is error_class


def test_every_row_has_its_case() -> None:
    """A row that is added to a table must be added here."""
    assert {row[1] for row in BY_TYPE} == HEAT_BY_TYPE.keys()
    assert {row[0] for row in BY_STATUS} == HEAT_BY_STATUS.keys()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_a_broken_server_leaves_writes_in_doubt(status: int) -> None:
    """5xx: a read may simply be repeated, a write may have happened."""
    assert classify_heat(status, "", may_have_acted=False) is TRANSIENT
    assert classify_heat(status, "", may_have_acted=True) is IN_DOUBT


@pytest.mark.parametrize("status", [402, 406, 410, 411, 418, 422])
def test_an_unknown_refusal_is_final(status: int) -> None:
    """Statuses below 500 that no table knows are refusals that no retry changes."""
    assert classify_heat(status, "", may_have_acted=True) is TERMINAL


@pytest.mark.parametrize(
    ("error_class", "again"),
    [
        (TRANSIENT, True),
        (CONFLICT, True),
        (IN_DOUBT, True),
        (NOT_FOUND, True),
        (QUOTA, True),
        (TERMINAL, False),
        (ErrorClass.INVALID, False),
    ],
)
def test_what_is_retried(error_class: ErrorClass, again: bool) -> None:
    """Everything but what is final or wrong in itself."""
    assert Failure(error_class, "Kind", "text").retryable is again
    assert (error_class in RETRYABLE) is again


def test_every_class_is_decided() -> None:
    """No class is left without an answer to the question of retrying."""
    assert RETRYABLE | {TERMINAL, ErrorClass.INVALID} == set(ErrorClass)


def test_texts() -> None:
    """`<Class>: <message>`, as contract 10.3 wants it in `/state`, of the failure and of the exception."""
    error = PortError(TERMINAL, "StackFailed", "no route")
    assert str(error) == str(error.failure) == "StackFailed: no route"
    assert error.failure == Failure(TERMINAL, "StackFailed", "no route")


@pytest.mark.parametrize("length", [0, 1, SAID_MAX, SAID_MAX + 1, 2_200_000])
def test_what_is_said_is_kept_or_cut_in_its_middle(length: int) -> None:
    """Up to the limit word for word, beyond it the limit exactly, with both ends and the length."""
    said = "".join(chr(ord("a") + n % 26) for n in range(length))
    told = shortened(said)
    if length <= SAID_MAX:
        assert told == said
    else:
        assert len(told) == SAID_MAX
        assert told[:2_000] + told[-1_000:] == said[:2_000] + said[-1_000:]
        assert f" … ({length:,} characters) … " in told
