"""One request to a HeatActor on its way: what is wanted, what was seen last, how long it may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

from actors import rendering
from actors.core import stackdrive
from actors.core.errors import ErrorClass, Failure, shortened
from actors.core.json_text import check_given
from actors.core.keys import stack_name
from actors.core.model import Action, JsonObject
from actors.core.redact import redact, secret_values
from actors.core.stackdrive import Next, Seen
from actors.messages import Address, HeatRequest
from actors.ports import Stack, StackSpec

#: What Heat shows in the place of a hidden parameter.
HIDDEN = "******"
_DELETES = (Action.LOGICAL_DELETE, Action.DELETE)


@dataclass(slots=True, eq=False)
class Drive:
    """`acted`: it has made the stack as wanted; `acts`: its last write was to do so; `undone`: why that write has not
    happened, as far as anything shows; `shown`: how the stacks looked last. `admitted`: it holds a slot of its
    tenant. `busy`: a call for it is under way. `over`: answered or taken over by `successor`, which begins when
    that call has returned: a stack has one writer. `failed`: what `writes` was when a failure that may pass was
    last seen. `values`: of all parameters; `secrets`: those of them that nobody may see, None before they are asked
    for. `identity`: parameters that hold the resource's id; `recognised`: the stack that bears them although its
    tags are gone."""

    request: HeatRequest
    reply_to: Address
    told_at: float
    spec: StackSpec | None = None
    patience_s: float = 0.0
    deadline: float = float("inf")
    warnings: list[str] = field(default_factory=list)
    status: str = ""
    reason: str = ""
    trouble: Failure | None = None
    values: JsonObject = field(default_factory=dict)
    secrets: frozenset[str] | None = None
    identity: dict[str, str] = field(default_factory=dict)
    recognised: str = ""
    acted: bool = False
    acts: bool = False
    undone: Failure | None = None
    shown: tuple[tuple[str, ...], ...] = ()
    writes: int = 0
    failed: int = 0
    troubles: int = 0
    admitted: bool = False
    busy: bool = False
    over: bool = False
    predecessor: Drive | None = None
    successor: Drive | None = None

    @property
    def tenant(self) -> str:
        """The project."""
        return self.request.tenant

    @property
    def name(self) -> str:
        """The stack's name."""
        return stack_name(self.request.ref)

    @property
    def deletes(self) -> bool:
        """Whether the stack is to go away."""
        return self.request.action in _DELETES

    @property
    def request_id(self) -> str:
        """What ties Heat's log to ours: the same for all requests of one resource version."""
        return stackdrive.request_id(self.request.ref, self.request.version)

    def specify(self) -> int:
        """Render what is wanted; returns how long Heat may take, in minutes. Raises RenderError.

        A delete has nothing to render, and a timeout that cannot be read must not keep it from happening.
        """
        request = self.request
        try:
            values, missing = rendering.resolve(request.params, request.outputs)
            self.values = values
            self.identity = {name: value for name, value in values.items() if value == request.ref.id}
            if self.deletes:
                return rendering.split_params(values)[2]
        except rendering.RenderError:
            if self.deletes:
                return rendering.DEFAULT_TIMEOUT_MIN
            raise
        made = rendering.render_heat(request.template, values, missing)
        self.warnings += chain.from_iterable(missing.values())
        tags = stackdrive.tags(request.version)
        # Jinja2 writes some of the values into the template, where only their names tell what is secret
        self.secrets = secret_values(made.template, values)
        self.spec = StackSpec(
            request.tenant, self.name, made.template, made.parameters, made.timeout_min, tags, self.secrets
        )
        return made.timeout_min

    def wrote(self, outcome: object, *, acts: bool) -> None:
        """A write returned. `acts`: it makes the stack as wanted, if it was done at all."""
        self.undone = outcome if isinstance(outcome, Failure) else None
        self.acts, self.acted = acts, self.acted or (acts and self.undone is None)

    def noticed(self, stacks: Sequence[Stack]) -> list[Seen]:
        """All living stacks of the name: if they changed, a write that was in doubt was done after all."""
        shown = tuple((one.id, one.action, one.status, one.updated) for one in stacks)
        if self.undone is not None and self.undone.error_class is ErrorClass.IN_DOUBT and shown != self.shown:
            self.undone, self.acted = None, self.acted or self.acts
        self.shown = shown
        return [self.seen(one) for one in stacks]

    def seen(self, stack: Stack) -> Seen:
        """A stack as far as deciding needs it, without what nobody may see."""
        tags = stack.tags
        if stack.id == self.recognised and stackdrive.MARK not in tags:
            tags = (stackdrive.MARK,)
        # of a stack that is to go only a failure is of interest
        reason = "" if self.deletes and stack.status != "FAILED" else self.clean(stack.reason)
        return stackdrive.seen(stack.id, stack.action, stack.status, reason, tags)

    def recognise(self, stack: Stack) -> bool:
        """Whether an unmarked stack is ours by its parameters: somebody's update drops tags, not those."""
        mine = bool(self.identity) and self.identity.items() <= dict(stack.parameters).items()
        self.recognised = stack.id if mine else ""
        return mine

    def made_of_others(self, stack: Stack) -> bool:
        """Whether a stack that is at our version, but not by this drive, was made of other values than ours.

        A version may be given out twice, when etcd was lost. Compared is what Heat shows as it was given: text.
        """
        if self.spec is None or self.acted:
            return False
        declared = self.spec.template.get("parameters")
        schemas = declared if isinstance(declared, Mapping) else {}
        texts = {
            name
            for name, schema in schemas.items()
            if isinstance(schema, Mapping) and schema.get("type") == "string"
        }
        return any(
            isinstance(value, str) and stack.parameters.get(name, value) not in (value, HIDDEN)
            for name, value in self.spec.parameters.items()
            if name in texts
        )

    def decide(self, stacks: list[Seen]) -> stackdrive.Step:
        """What to do next, given all living stacks of the name; notes how the one that it is about stands."""
        request = self.request
        step = stackdrive.decide(
            request.action,
            request.version,
            stacks,
            acted=self.acted,
            again=request.again,
            bygone=request.bygone,
        )
        about = next((one for one in stacks if one.id == step.stack_id), None)
        self.status = f"{about.action}_{about.status}" if about is not None else ""
        self.reason = about.reason if about is not None else ""
        return step

    def may_pass(self, step: stackdrive.Step) -> bool:
        """Whether a failure that this drive brought about is looked at once more before anything is made of it.

        A DELETE that failed is often cured by a second one, when what hindered it has passed. Of a stack that is
        deleted by somebody while it is built Heat says for a moment that the building was cancelled.
        """
        if step.next is Next.DELETE:
            told = self.status == "DELETE_FAILED" and self.undone is None
        else:
            told = self.reason.endswith(" cancelled")
        if not told:
            return False
        news, self.failed = self.failed < self.writes, self.writes
        return news

    def told(self, silence: str, ahead: int) -> str:
        """What people see of it: `silence` says why nothing is heard of Heat, `ahead` how many of the tenant wait."""
        if silence:
            return f"{self.status} ({silence})".strip()
        return self.status if self.admitted else f"waits for its turn: {ahead} stacks of its tenant do"

    def twins(self, found: list[Seen], step: stackdrive.Step) -> str:
        """A warning that there are several stacks of its name; the requester will be told, too."""
        ids = ", ".join(one.id for one in found)
        told = f"{len(found)} stacks are named {self.name} ({ids}); next: {step.next} {step.stack_id}"
        self.warnings.append(told)
        return told

    def unsettled(self, writes: int) -> Failure:
        """It was written to again and again: why the last of that did not do."""
        if self.undone is not None:
            return self.undone
        if self.status == "DELETE_FAILED":
            return Failure(ErrorClass.TERMINAL, "StackFailed", f"DELETE_FAILED: {self.reason}")
        if self.trouble is not None:
            return self.trouble
        text = f"still {self.status or 'not there'} after {writes} requests"
        return Failure(ErrorClass.TRANSIENT, "StackUnsettled", text)

    def late(self, silence: str) -> Failure:
        """Its deadline has passed. `silence` says why nothing was heard of Heat meanwhile."""
        status = self.status or "in progress"
        text = f"stack {self.name} is still {status} after its time-out"
        if silence:
            text = f"stack {self.name} was {status} when last seen, and its time is over: {silence}"
        return Failure(ErrorClass.TERMINAL, "HeatTimeout", text)

    def clean(self, text: str) -> str:
        """`text` without the values of secret parameters, which Heat quotes, no longer than `SAID_MAX`, and UTF-8."""
        if self.secrets is None:
            self.secrets = self._hidden()
        text = redact(text, self.secrets)
        return shortened(text.encode(errors="backslashreplace").decode())

    def _hidden(self) -> frozenset[str]:
        """What is secret in a request to delete, whose template is not read unless Heat has something to say."""
        template: JsonObject = {}
        with suppress(Exception):  # one that cannot be rendered hides nothing
            template = rendering.render_heat(self.request.template, self.values).template
        return secret_values(template, self.values)


def unrecordable(outputs: Sequence[JsonObject]) -> Failure | None:
    """Why what a stack gave out cannot be recorded: it is Heat's word, and may be anything that its JSON can hold."""
    try:
        if not all(isinstance(one, dict) for one in outputs):
            raise ValueError("an output is no object")  # noqa: TRY301
        check_given(list(outputs))
    except ValueError as error:
        text = f"what the stack gave out cannot be recorded: {error}"
        return Failure(ErrorClass.TERMINAL, "BadOutputs", text)
    return None
