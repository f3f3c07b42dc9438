"""Heat for a whole simulated world: `FakeStacks`, which also tells what was asked for."""

from __future__ import annotations

from actors.ports import StackSpec
from sim.fake_stacks import FakeStacks


class SimStacks(FakeStacks):
    """`spec`: what the create or update under way asks for."""

    spec: StackSpec | None = None

    def create(self, spec: StackSpec) -> str:
        """See `ports.Stacks`."""
        self.spec = spec
        return super().create(spec)

    def update(self, spec: StackSpec, stack_id: str) -> None:
        """See `ports.Stacks`."""
        self.spec = spec
        super().update(spec, stack_id)
