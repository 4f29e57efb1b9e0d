"""Options and arguments that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

from alma.cli import output

if TYPE_CHECKING:
    from pathlib import Path

    from alma.journal.address import Address

_LOCALSTACK: Final = "--localstack"

F = TypeVar("F", bound=Callable[..., Any])


class Invocation:
    """What every command is told: which journal, and in which form to answer."""

    def __init__(
        self, *, json: bool = False, debug: bool = False, stream: IO[str] | None = None
    ) -> None:
        self.journal: Address | None = None
        """As the option says it."""
        self.trust = False
        self.json = json
        self.debug = debug
        self.stream = stream or sys.stdout
        self.parameters: dict[str, str] = {}
        self.parameter_files: tuple[str, ...] = ()
        self.stdin: str | None = None
        self.reports: tuple[Path, ...] = ()
        self.stack = ""
        self.organization = ""
        self.host_is_gone = False
        self.lock_timeout = 0.0
        self.skip: tuple[tuple[str, str], ...] = ()
        self.reason = ""
        self.temporal = os.environ.get("ALMA_TEMPORAL", "")
        self.namespace = ""

    @property
    def where(self) -> Address:
        """Where the journal is."""
        from alma.journal.address import DEFAULT, chosen

        return chosen(self.journal) or DEFAULT

    def require_journal(self) -> Address:
        """Where the journal is; RunNotFoundError for a file that is not there."""
        from alma.errors import RunNotFoundError
        from alma.journal.address import may_be_there

        where = self.where
        if not may_be_there(where):
            hint = "Give its path with --journal."
            raise RunNotFoundError(f"There is no journal {where}.", hint=hint)
        return where

    def print_json(self, document: Any) -> None:
        """Print the one document of `--json`."""
        output.print_json(document, self.stream)

    def command_line(self, words: str) -> str:
        """A command to be copied: with this call's own `--journal`."""
        from alma.reports.text import command_line

        return command_line(words, self.journal)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Given before the command or after it, an option means the same; after it counts."""
    if value:
        setattr(context.ensure_object(Invocation), str(parameter.name), value)


def _kept(*names: str, callback: Callable[..., Any] = _keep, **more: Any) -> Callable[[F], F]:
    """An option that is kept in `Invocation`, and not passed on."""
    return click.option(*names, expose_value=False, callback=callback, **more)


def _keep_journal(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value:
        from alma.journal.address import address_of

        _keep(context, parameter, address_of(value))


_SHARED: Final = (
    _kept(
        "--journal",
        help="The journal's file, or its postgresql: URL.  [default: $ALMA_JOURNAL, or "
        ".alma/journal.db]",
        metavar="PATH|URL",
        callback=_keep_journal,
    ),
    _kept(
        "--json",
        is_flag=True,
        help="Print one JSON document on stdout and nothing else there: what else is printed goes "
        "to stderr.",
    ),
    _kept(
        "--debug",
        is_flag=True,
        help="Show the traceback of an unexpected error (it is kept in a file in any case).",
    ),
)


def shared_options(function: F) -> F:
    """`--journal`, `--json` and `--debug`; kept in `Invocation`, not passed on."""
    for option in reversed(_SHARED):
        function = option(function)
    return function


def trust_option(function: F) -> F:
    """`--trust`, for commands that act on the journal; kept in `Invocation`, not passed on."""
    return _kept(
        "--trust",
        is_flag=True,
        help="Act on a journal that was not written with a key of yours, and make it yours.",
    )(function)


def gone_options(function: F) -> F:
    """`--host-is-gone` and its `--reason`; kept in `Invocation`, not passed on."""
    reason = _kept(
        "--reason",
        metavar="TEXT",
        help="Why, for the journal: with --host-is-gone how that is known.",
    )
    return _kept(
        "--host-is-gone",
        is_flag=True,
        help="The host on which the run was cut off does not exist any more; needs --reason.",
    )(reason(function))


def _keep_skips(context: click.Context, _parameter: click.Parameter, said: tuple[str, ...]) -> None:
    """Each as step and name; a step's name may hold no colon."""
    found = tuple(each.split(":", 1) for each in said)
    for each, parts in zip(said, found, strict=True):
        if len(parts) < 2 or not all(parts):  # noqa: PLR2004 - a step and a name
            raise click.BadParameter(f"{each!r} is no STEP:NAME.")
    context.ensure_object(Invocation).skip = tuple((step, name) for step, name in found)


def skip_option(function: F) -> F:
    """`--skip-resource`; kept in `Invocation`, not passed on."""
    return _kept(
        "--skip-resource",
        multiple=True,
        metavar="STEP:NAME",
        help="Let an undo go past a resource of a CloudFormation stack that it is stuck at. "
        "Repeatable.",
        callback=_keep_skips,
    )(function)


def _temporal_options(words: str) -> Callable[[F], F]:
    def options(function: F) -> F:
        """`--temporal` and `--namespace`; kept in `Invocation`, not passed on."""
        namespace = _kept(
            "--namespace",
            metavar="NAME",
            help="Temporal's namespace.  [default: $TEMPORAL_NAMESPACE, or default]",
        )
        return _kept("--temporal", metavar="HOST:PORT", help=words)(namespace(function))

    return options


temporal_options = _temporal_options(
    "Have Temporal drive it: its operations are done by `alma-pulumi worker`s. TLS and API key are "
    "as `temporal` has them (TEMPORAL_*).  [default: $ALMA_TEMPORAL; a run that goes on: where it "
    "was]"
)
temporal_server_options = _temporal_options(
    "Where Temporal is; TLS and API key are as `temporal` has them (TEMPORAL_*).  [default: "
    "$ALMA_TEMPORAL, $TEMPORAL_ADDRESS, or localhost:7233]"
)


pass_shared = click.make_pass_decorator(Invocation, ensure=True)


def completed(what: str) -> Callable[..., Any]:
    """How a shell completes it, by `alma.cli.completing`, which is not loaded before."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> Any:
        from alma.cli.completing import COMPLETIONS

        return COMPLETIONS[what](context, parameter, incomplete)

    return complete


unfold_option = click.option(
    "--unfold", is_flag=True, help="With the steps of the sagas that are steps of it."
)

run_argument = click.argument("run", shell_complete=completed("run"))


accept_backend_option = click.option(
    "--accept-backend",
    is_flag=True,
    help="Although the stacks of the last run are in another backend, and stay there.",
)


def _ttl(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    from alma.core.ttl import read_ttl

    return None if value is None else read_ttl("--ttl", value)


def expiry_options(function: F) -> F:
    """`--ttl` and `--accept-existing`, passed on as `ttl` and `accept_existing`."""
    existing = click.option(
        "--accept-existing",
        is_flag=True,
        help="With a ttl, although stacks hold what was there before the saga: it is destroyed "
        "with the rest then.",
    )
    return click.option(
        "--ttl",
        metavar="TIME",
        callback=_ttl,
        help="How long all of it is to stay, from now: 30m, 4h, 2d. Then `reap` destroys what is "
        "in its stacks. none: it stays.  [default: as the saga, else the run before, says]",
    )(existing(function))


# -- an option whose value may be left out ------------------------------------------------------


class LocalStackCommand(click.Command):
    """A command with `--localstack [URL]`.

    The word after the option is its value only where it is a URL: in `up --localstack saga.py`
    it is the TARGET.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, once it is clear what the option's value is."""
        words: list[str] = []
        for word in args:
            alone = bool(words) and words[-1] == _LOCALSTACK
            if alone and "://" in word:
                words[-1] = f"{_LOCALSTACK}={word}"
                continue
            if alone:
                words[-1] = f"{_LOCALSTACK}="
            words.append(word)
        if words and words[-1] == _LOCALSTACK:
            words[-1] = f"{_LOCALSTACK}="
        return super().parse_args(ctx, words)


def _localstack(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    from alma.core.definition import LocalStack

    return None if value is None else LocalStack(value)


def localstack_option(function: F) -> F:
    """`--localstack [URL]`, passed on as `localstack`: a LocalStack, or None without the option."""
    return click.option(
        _LOCALSTACK,
        metavar="[URL]",
        callback=_localstack,
        help="Send AWS steps to this LocalStack. A run goes on where it began, without this. The "
        "word after it is its value only if it is a URL.  [URL: $AWS_ENDPOINT_URL, or "
        "http://localhost:4566]",
    )(function)
