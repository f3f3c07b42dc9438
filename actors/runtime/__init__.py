"""The hardened Thespian host.

Product code imports from here: `actor.BaseActor`, `io.IoActor`, `host.Address/Busy/Lane/Timer`, `system.start`;
tests and the simulator import `inline.InlineHost`. Everything else is the runtime's inside.
"""
