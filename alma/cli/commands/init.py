"""`alma-pulumi init`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say

FILE: Final = "saga.yaml"


@click.command("init")
@shared_options
@pass_shared
def command(shared: Invocation) -> None:
    """Write a first saga.yaml, of the Pulumi projects below the working directory.

    Where a program refers to another one's stack (StackReference), its step depends on that one.
    Programs are read or searched, and never run; nothing is overwritten.
    """
    from alma.errors import DefinitionError
    from alma.saga.yaml.first_file import first_file

    path = Path(FILE)
    if path.exists() or path.is_symlink():
        raise DefinitionError(
            f"{FILE} is there already, and nothing was written.",
            hint="Move it away to have it written anew.",
        )
    made = first_file(Path.cwd())
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(made.text)
    except OSError as error:
        raise DefinitionError(f"{FILE} cannot be written: {error.strerror}.") from error
    if shared.json:
        document = {
            "file": str(path.absolute()),
            "saga": made.saga,
            "stack": made.stack,
            "steps": list(made.steps),
            "left_out": list(made.left_out),
        }
        shared.print_json(document)
        return
    many = len(made.steps)
    steps = f"{many} step{'s' if many > 1 else ''}: {', '.join(made.steps)}"
    say(f"{FILE}: {made.saga}/{made.stack}, {steps}")
    for one in made.left_out:
        say(f"left out: {one}")
    say("See what it would do: alma-pulumi preview saga.yaml")
