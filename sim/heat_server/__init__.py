"""The Heat API server of standalone mode: real HTTP over the engine of `sim.heat`, on loopback.

`python -m sim.heat_server --port 0 --state DIR` runs it; `sim.heat_server.launch.start` does so for tests.
"""
