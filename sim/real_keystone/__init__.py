"""A real OpenStack Keystone for tests of logging in: sqlite, loopback, one process, an environment of its own."""
