"""What runs on the Python of the Keystone environment."""
