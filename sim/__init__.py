"""Fakes of the ports, and the embedded services of standalone mode, which speak the real protocols."""
