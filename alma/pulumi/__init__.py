"""Pulumi behind one Protocol: the only package of alma that imports pulumi.

Only what runs in a worker process (`worker`, `language`, `stack`, `workspace`, `command`) imports
it; `protocol`, `pool` and what they use do not, so that looking at a journal stays fast.
"""
