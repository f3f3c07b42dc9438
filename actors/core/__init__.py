"""Pure decisions: standard library only; no I/O, clock, randomness, logging or actors."""
