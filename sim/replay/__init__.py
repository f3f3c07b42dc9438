"""`python run.py replay DIR`: a recorded run of the original system against the real product.

`recording` reads it, `stand_ins` answer in place of its Heat and its devices, `conductor` plays it in the recorded
order into a real etcd under real processes, `compare` says what differs, `command` is the command.
"""
