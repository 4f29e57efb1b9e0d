"""What a step's `ready` may be: checked as it is written, whatever the kind of the step."""

from __future__ import annotations

from alma.core.secret import secrets_in
from alma.errors import DefinitionError
from alma.steps.step import Step

NO_DRIFT = "no-drift"


def check_ready(step: Step) -> None:
    """Refuse what nobody could ask."""
    asked, where = step.ready, f"{step.where}: ready"
    if asked is None or asked == NO_DRIFT or callable(asked):
        return
    if isinstance(asked, list | tuple):
        from alma.steps.command.argv import plain_command, require_plain

        command = plain_command(where, asked, shell=False)
        require_plain(where, command, secrets_in(dict(step.inputs)))
    elif isinstance(asked, str):
        raise DefinitionError(
            f"{where}: {asked!r} says nothing.",
            hint=f'Write "{NO_DRIFT}", a command as a list of arguments, a callable or a Request.',
        )
    else:
        from alma.steps.http.request import check_request

        check_request(where, "ready", asked, step.inputs)
