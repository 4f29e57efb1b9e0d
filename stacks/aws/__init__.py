"""Stacks for AWS: plain Pulumi programs, one a module, each configured by its stack's config.

Nothing is imported here, so that a saga pays for the services it uses and no others.
"""
