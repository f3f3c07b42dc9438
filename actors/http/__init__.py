"""The HTTP port: server, JSON views and the dashboard's files."""
