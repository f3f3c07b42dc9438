"""Set-up, settings, resource types and the examples. Knows `actors.core` and nothing else of the project."""
