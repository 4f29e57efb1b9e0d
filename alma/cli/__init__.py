"""The command line, `alma-pulumi`: one command, one file; parse, call the library, render.

Nothing here is imported before it is needed: `--help` loads click and no more, and only a
command that runs something loads the runner.
"""

from alma.cli.program import main

__all__ = ["main"]
