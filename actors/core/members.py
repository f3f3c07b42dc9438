"""Members of values in etcd, checked where they are taken out: a reader gets the type that it asks for.

Guarantees: what does not fit is a ValueError (BadValue where the key is given) that says what was expected and quotes
at most some QUOTED_MAX characters of what stands there; numbers are finite and within bounds that arithmetic, timers
and calendars can take. Does not know which members a value has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import isfinite
from typing import Any, TypeVar

from actors.core.errors import shortened
from actors.core.model import Json, JsonObject

#: Versions and the like are compared, counted and written elsewhere: they fit in 63 bits.
WHOLE_MAX = 2**63 - 1
#: Seconds since 1970 that are still a date: up to the year 9987.
MOMENT_MAX_S = 253_000_000_000.0
#: No stretch of time is longer than some thirty years.
STRETCH_MAX_S = 1_000_000_000.0
#: Characters of a value that an error shows.
QUOTED_MAX = 100
#: Characters of what another error says of it.
REASON_MAX = 400


T = TypeVar("T")


class BadValue(ValueError):
    """A value in etcd that cannot be read. The text names the key and what is wrong with it."""


def of_key(key: str, check: Callable[..., T], *args: Any) -> T:
    """What a check returns; its ValueError as a BadValue of that key."""
    try:
        return check(*args)
    except ValueError as error:
        raise BadValue(f"{key}: {error}") from error


def quoted(value: Json) -> str:
    """A value as an error shows it: its beginning and its end, if it is long."""
    return shortened(repr(value), QUOTED_MAX)


def kind(value: Json) -> str:
    """What sort of value it is: all that an error says where the value itself may be a secret."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    sorts: dict[type, str] = {str: "text", list: "a list", dict: "an object"}
    return sorts.get(type(value), "a number")


def reason(error: Exception) -> str:
    """What another error says, if it is long in part."""
    return shortened(str(error), REASON_MAX)


def is_whole(value: Json, least: int = -WHOLE_MAX) -> bool:
    """Whether it is a whole number from `least` on that fits in 63 bits. True and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= WHOLE_MAX


def whole(value: Json, default: int = 0) -> int:
    """A count, or the default if that is none."""
    return int(value) if is_whole(value, 0) else default


def seconds(value: Json, most: float) -> float | None:
    """A number of seconds from 0 to `most`; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= most and isfinite(value) else None


def text(value: Json, default: str = "") -> str:
    """A text, or the default if that is none."""
    return value if isinstance(value, str) else default


def version_of(members: JsonObject, least: int = -WHOLE_MAX) -> int:
    """The member `version`. Raises ValueError."""
    version: Json = members.get("version")
    if is_whole(version, least):
        return int(version)
    kind = "a positive integer" if least == 1 else "an integer"
    large = isinstance(version, int) and abs(version) > WHOLE_MAX
    most = " of at most 63 bits" if large else ""
    raise ValueError(f"member 'version' must be {kind}{most}, not {quoted(version)}")


def text_of(members: JsonObject, name: str, among: Collection[str] = ()) -> str:
    """A member that must be there and be text; `among`: one of these. Raises ValueError."""
    value = members.get(name)
    if not isinstance(value, str):
        raise ValueError(f"member '{name}' must be text, not {quoted(value)}")  # noqa: TRY004 - one kind of error
    if among and value not in among:
        raise ValueError(f"member '{name}' must be one of {', '.join(among)}, not {quoted(value)}")
    return value


def texts_of(members: JsonObject, name: str) -> tuple[str, ...]:
    """A member that must be there and be a list of texts. Raises ValueError."""
    value = members.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"member '{name}' must be a list of texts, not {quoted(value)}")
    return tuple(value)


def flag_of(members: JsonObject, name: str) -> bool:
    """A member that must be there and be true or false. Raises ValueError."""
    value = members.get(name)
    if not isinstance(value, bool):
        raise ValueError(f"member '{name}' must be true or false, not {quoted(value)}")  # noqa: TRY004 - one kind of error
    return value


def object_of(value: Json, what: str) -> dict[str, Json]:
    """An object. `what`: what it is called in the error. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object, not {kind(value)}")  # noqa: TRY004 - one kind of error
    return value


def objects_of(members: JsonObject, name: str) -> tuple[JsonObject, ...]:
    """A member that is a list of objects, empty if it is absent. Raises ValueError."""
    value = members.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError(f"member '{name}' must be a list of objects, not {quoted(value)}")
    return tuple(value)
