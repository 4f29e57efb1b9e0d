"""Sagas in YAML: a file that says what Python would, and is read without executing anything."""
