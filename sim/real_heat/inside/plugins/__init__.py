"""Read by Heat as a folder of plug-ins."""
