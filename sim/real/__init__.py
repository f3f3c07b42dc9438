"""The second tier of the simulation: the same workloads and promises on the real process tree, etcd and signals.

Read `play` (phases) → `stage` (what runs) → `strikes` (faults) → `world` and `checks` (what etcd's history proves).
"""
