"""A real OpenStack Heat on loopback: API and engine in one process, in an environment of its own.

`environment` makes that environment from hashed pins, `launch.start` runs the server, and `inside/` is what runs
there (it imports Heat, and nothing of this project imports it). Real code of Heat decides everything; only the
deployment is unusual: sqlite, messages in memory, no Keystone, and resource types that build nothing.
"""
