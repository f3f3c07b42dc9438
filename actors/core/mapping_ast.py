"""The nodes of a parsed mapping and the errors of the mapping language (contract 3).

Guarantees: nodes are immutable and compare by value, so a parsed template may be shared and cached.
Does not know the two spellings (that is `mapping_parse`) nor what a node means (that is `mapping`).
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.model import Json, Ref


class MappingError(Exception):
    """A mapping that cannot be read or evaluated.

    `text` says for a person what is wrong; `parameter` names the parameter ("" until it is known). The
    template and the key are added by whoever knows them. Property values never stand in the text: they
    may be passwords.
    """

    def __init__(self, text: str, parameter: str = "") -> None:
        super().__init__(text, parameter)
        self.text = text
        self.parameter = parameter

    def __str__(self) -> str:
        return f"parameter {self.parameter!r}: {self.text}" if self.parameter else self.text


class MissingResource(MappingError):
    """A related resource that is not declared (contract 10.6): the caller waits for `ref`."""

    def __init__(self, ref: Ref, parameter: str = "") -> None:
        super().__init__(f"the related resource {ref} is not declared", parameter)
        self.ref = ref


@dataclass(frozen=True, slots=True)
class Constant:
    """Any JSON value."""

    value: Json


@dataclass(frozen=True, slots=True)
class Version:
    """The config version of the resource."""


@dataclass(frozen=True, slots=True)
class ByRelation:
    """A step along the property `name`; its target type comes from the relation table."""

    name: str


@dataclass(frozen=True, slots=True)
class ByType:
    """A step to a `type`; its id is the property `id` of the current object ("": the loop element itself)."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class ByComputedName:
    """A step along a property whose name is a concatenation."""

    name: Concatenation


Step = ByRelation | ByType | ByComputedName


@dataclass(frozen=True, slots=True)
class Field:
    """A property of the object that `path` leads to (of the current object if the path is empty).

    `registers`: without a path, the property still names a resource to wait for if it is a relation; so
    does the long spelling, not the compact one (contract 3.3).
    """

    name: str
    path: tuple[Step, ...] = ()
    ignore_missing: bool = False
    registers: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A Heat output, read when the job runs: of the resource itself, or of the one `path` leads to."""

    key: str
    path: tuple[Step, ...] = ()
    ignore_missing: bool = False


@dataclass(frozen=True, slots=True)
class Nested:
    """A property inside a property (…) of the resource itself."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Concatenation:
    """The texts of all parts, one after the other."""

    parts: tuple[Expression, ...]
    ignore_missing: bool = False


@dataclass(frozen=True, slots=True)
class Loop:
    """`body` evaluated for each element of the array that `over` yields."""

    over: Field
    body: Expression


@dataclass(frozen=True, slots=True)
class Equal:
    """JSON equality of two values."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Matches:
    """`re.match` of a pattern at the start of a text."""

    subject: Expression
    pattern: Expression


@dataclass(frozen=True, slots=True)
class Choice:
    """One of two expressions; only the one taken is evaluated."""

    condition: Equal | Matches
    then: Expression
    otherwise: Expression


Expression = Constant | Version | Field | Output | Nested | Concatenation | Loop | Choice


def late_bound(expression: Expression) -> bool:
    """Whether the value may only be known when the job runs (type `output_key` or `list` of contract 3.4)."""
    match expression:
        case Output():
            return True
        case Loop(body=body):
            return late_bound(body)
        case Choice(then=then, otherwise=otherwise):
            return late_bound(then) or late_bound(otherwise)
        case _:
            return False
