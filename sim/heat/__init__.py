"""What Heat does with stacks, as pure functions of the time: no I/O, no clock, no random numbers.

`hot` and `parameters` read templates, `types` knows the resource types, `engine` keeps stacks. The embedded
API server (`sim.heat_server`) and the fake (`sim.fake_stacks`) are two skins over the same engine.
"""
