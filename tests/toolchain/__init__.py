"""Finds, or else makes, the real programs that the tests run against.

`python -m tests.toolchain` prints the directories that belong at the front of PATH, joined as
PATH is. Everything for people goes to stderr. Only the standard library is used, so that any
Python 3.11 runs it; what it makes lands in a cache outside the checkout.

To add a program: a module with a function `directories() -> list[Path]` which looks at PATH
first and then asks `cache.entry` for it, and a line in `PARTS` of `__main__`.
"""
