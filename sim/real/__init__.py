"""The second tier of the simulation: the same workloads and promises on the real process tree, etcd and signals.

Read `play` (phases) → `stage` (what runs) → `strikes` (faults) → `checker` (what etcd's own history proves).
"""
