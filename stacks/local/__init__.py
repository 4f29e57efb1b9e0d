"""Stacks that bring up real things on one machine, with no cloud account.

Nothing is imported here: the processes started from this package run with the standard library
alone and must not pay for (or need) Pulumi.
"""
