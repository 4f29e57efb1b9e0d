"""The command line, `alma-pulumi`: one command, one file; parse, call the library, render.

Nothing here is imported before it is needed: `--help` loads click and no more, and only a
command that runs something loads the runner.
"""

import gc
import sys
from typing import Final

from alma.core.search_path import python_first
from alma.system.descriptors import open_standard
from alma.system.limits import dump_no_core

ALLOCATIONS: Final = 20_000
"""New objects between two looks for garbage. Python's own 700 is some forty looks while modules
load, none of which is garbage; no part of a run makes so much that it matters to one."""

INTERRUPTED: Final = 8
"""`error_handler.CANCELLED`, which is not loaded yet."""


def main() -> None:
    """The entry point of `alma-pulumi`."""
    open_standard()
    dump_no_core()
    sys.path[:] = python_first(sys.path)
    gc.set_threshold(ALLOCATIONS)
    try:
        from alma.cli.program import program
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: nothing was begun.\n")
        sys.exit(INTERRUPTED)

    try:
        program.main()
    finally:
        # The process ends: what it still holds need not be searched for cycles once more.
        gc.freeze()


__all__ = ["main"]
