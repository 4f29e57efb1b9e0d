"""`alma-pulumi completion`."""

from __future__ import annotations

import click

from alma.cli.options import Invocation, pass_shared, shared_options
from alma.cli.output import say

NAME = "alma-pulumi"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
@shared_options
@pass_shared
def command(shared: Invocation, shell: str) -> None:
    r"""Print what SHELL (bash, zsh or fish) is to source, to complete words of this program.

    \b
    bash  in ~/.bashrc:  eval "$(alma-pulumi completion bash)"
    zsh   in ~/.zshrc, after compinit:  eval "$(alma-pulumi completion zsh)"
    fish  alma-pulumi completion fish > ~/.config/fish/completions/alma-pulumi.fish
    """
    from click.shell_completion import get_completion_class

    from alma.cli.program import COMPLETE, program

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has one for each of the three
    script = kind(program, {}, NAME, COMPLETE).source()
    if shared.json:
        shared.print_json({"shell": shell, "script": script})
    else:
        say(script)
