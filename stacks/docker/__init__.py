"""Stacks of Docker networks, volumes and containers, for any Docker daemon."""
