"""`alma-pulumi reap`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from alma.cli.environments import place_options
from alma.cli.options import Invocation, completed, pass_shared, shared_options, trust_option
from alma.cli.output import say
from alma.cli.question import DECLINED, agrees, is_asked, yes_option
from alma.cli.reporting import report_option

if TYPE_CHECKING:
    from alma.runner.reap import Due
    from alma.saga.target import Target


@click.command("reap")
@click.argument("targets", metavar="[TARGET]...", nargs=-1, shell_complete=completed("target"))
@place_options
@click.option(
    "--remove",
    is_flag=True,
    help="Remove the stacks' records and history from the backend as well.",
)
@click.option("--preview-only", is_flag=True, help="Tell what has expired, and change nothing.")
@yes_option
@trust_option
@report_option
@shared_options
@pass_shared
def command(
    shared: Invocation,
    targets: tuple[str, ...],
    *,
    saga: str | None,
    stack: str | None,
    remove: bool,
    preview_only: bool,
    yes: bool,
) -> int:
    """Take down what has expired (`up --ttl`), one saga after the other: for cron and CI.

    Of all sagas in the journal, or of the TARGETs alone. What somebody is at work on is skipped.

    Exit codes: 0 nothing has expired, or all of that is gone; 10 something of it is left, and is
    named; 8 interrupted or declined.
    """
    from alma.cli.reaping import reap_all
    from alma.journal.address import absolute_address
    from alma.reports import reaped
    from alma.saga.target import absolute, open_target

    opened = [(absolute(target), open_target(target)) for target in targets]
    shared.journal = absolute_address(shared.where)
    found = [due for due in _due(shared, saga, stack) if _is_meant(due, opened)]
    if not found or preview_only:
        done, code = [reaped.Reaped(due=due) for due in found], 0
        for line in reaped.before(found) if found else [f"Nothing has expired in {shared.where}."]:
            if not shared.json:
                say(line)
    else:
        if is_asked(shared, yes=yes):
            for line in reaped.before(found):
                say(line)
            if not agrees("Take that down?", lambda: reaped.details(found)):
                return DECLINED
        done, code = reap_all(shared, found, opened, remove=remove)
        for line in reaped.after(done):
            if not shared.json:
                say(line, err=code != 0)
    if shared.json:
        shared.print_json(reaped.document(done, code))
    return code


def _due(shared: Invocation, saga: str | None, stack: str | None) -> list[Due]:
    from alma.runner.reap import all_due
    from alma.runner.settings import Settings

    with Settings(journal=shared.journal, trust=shared.trust).open(write=False) as journal:
        found = list(all_due(journal))
    return [
        due
        for due in found
        if saga in (None, due.run.definition.saga)
        and (stack is None or f"/{due.target}".endswith(_place(due, stack)))
    ]


def _place(due: Due, stack: str) -> str:
    organization, _, name = stack.rpartition("/")
    place = f"/{due.run.definition.saga}/{name}"
    return f"/{organization}{place}" if organization else place


def _is_meant(due: Due, opened: list[tuple[str, Target]]) -> bool:
    from alma.runner.deployed import is_of

    return not opened or any(is_of(one, due.run) for _, one in opened)
