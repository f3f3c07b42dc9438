"""The controller: pure core, ports, adapters, runtime and the actors. Begin with `messages` and `core.machine`."""
