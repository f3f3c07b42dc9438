"""What settings are made of: secrets that show themselves to nobody, and numbers with their ranges.

Guarantees: a Secret is masked in every text form and comes out by `reveal()` only.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le

Seconds = Annotated[float, Gt(0), Le(86_400)]
Count = Annotated[int, Ge(1), Le(1_000_000)]
Port = Annotated[int, Ge(1), Le(65_535)]


def web_address(text: str) -> bool:
    """Whether it is http(s)://host[:port]/…, with a port that there is."""
    try:
        parts = urlsplit(text)
        return bool(re.match(r"https?://\S+$", text) and parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Secret:
    """Text that must not be seen. Pickles; compares; `str` and `repr` are masked."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself: for the adapter that authenticates with it, and nobody else."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    def __str__(self) -> str:
        return "***" if self._value else ""

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (self._value,)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def _validate(cls, value: object) -> Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return cls(value)
        raise ValueError("must be text")
