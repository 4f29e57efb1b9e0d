"""The program: its commands, loaded when they are called, and its one way out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from alma.__about__ import __version__
from alma.cli.error_handler import handle_errors
from alma.cli.options import Invocation, shared_options
from alma.cli.output import answer_stream

COMMANDS: Final = {
    "init": "init:command",
    "up": "up:command",
    "worker": "worker:command",
    "preview": "preview:command",
    "drift": "drift:command",
    "destroy": "destroy:command",
    "restore": "restore:command",
    "reap": "reap:command",
    "extend": "extend:command",
    "runs": "runs:command",
    "status": "status:command",
    "history": "history:command",
    "logs": "logs:command",
    "report": "report:command",
    "ui": "ui:command",
    "notices": "notices:command",
    "cancel": "cancel:command",
    "resume": "resume:resume",
    "rollback": "resume:rollback",
    "approve": "approval:approve",
    "refuse": "approval:refuse",
    "skip": "intervene:skip",
    "abandon": "intervene:abandon",
    "graph": "graph:command",
    "params": "params:command",
    "verify": "verify:command",
    "prune": "prune:command",
    "rekey": "rekey:command",
    "journal": "journal:group",
    "doctor": "doctor:command",
    "schema": "schema:command",
    "completion": "completion:command",
}
"""Where each is, under `alma.cli.commands`; in the order in which `--help` lists them."""

COMPLETE: Final = "_ALMA_PULUMI_COMPLETE"
"""By this variable a shell asks for what it may offer; click has the name from the program's."""


class Program(click.Group):
    """A group that imports a command's module only when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        module, _, name = COMMANDS.get(cmd_name, "").partition(":")
        if not module:
            return None
        command = getattr(import_module(f"alma.cli.commands.{module}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 - a command without one is a bug
        return command

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> Any:
        """Run, and end the process with the exit code of docs/cli.md."""
        words = list(sys.argv[1:] if args is None else args)
        if COMPLETE in os.environ:
            from alma.cli.completing import register

            register()
        as_json = "--json" in words[: words.index("--") if "--" in words else None]
        with answer_stream(reserved=as_json) as stream:
            shared = Invocation(json=as_json, debug="--debug" in words, stream=stream)

            def call() -> Any:
                return super(Program, self).main(
                    words, "alma-pulumi", standalone_mode=False, obj=shared
                )

            code = handle_errors(call, shared)
        sys.exit(code)


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if not value or context.resilient_parsing:
        return
    import platform

    click.echo(f"alma-pulumi {__version__} (Python {platform.python_version()})")
    context.exit()


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
@shared_options
def program() -> None:
    """Deployments of several Pulumi stacks as one saga.

    Either every step takes effect, or everything is undone in reverse order, verified, and in
    the journal. TARGET is file.py[:name], file.yaml or module:name. RUN is a run's id, a unique
    beginning of one, or "latest".
    """
