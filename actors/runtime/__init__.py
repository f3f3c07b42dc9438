"""The hardened Thespian host.

Product code imports from here: `actor.BaseActor`, `io.IoActor`, `host.Address/Busy/Lane/Timer`, and
`system.start`; tests and the simulator `inline.InlineHost`. Everything else is the runtime's inside.
"""
