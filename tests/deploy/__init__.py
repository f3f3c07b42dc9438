"""The deployment files put to use: the unit under a systemd of its own, the container recipe built and run."""
