"""`--localstack [URL]`: an option whose value may be left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

_OPTION: Final = "--localstack"

F = TypeVar("F", bound=Callable[..., Any])


class Command(click.Command):
    """A command with `--localstack [URL]`.

    The word after the option is its value only where it is a URL: in `up --localstack saga.py`
    it is the TARGET.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, once it is clear what the option's value is."""
        words: list[str] = []
        for word in args:
            alone = bool(words) and words[-1] == _OPTION
            if alone and "://" in word:
                words[-1] = f"{_OPTION}={word}"
                continue
            if alone:
                words[-1] = f"{_OPTION}="
            words.append(word)
        if words and words[-1] == _OPTION:
            words[-1] = f"{_OPTION}="
        return super().parse_args(ctx, words)


def _localstack(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    from alma.core.definition import LocalStack

    return None if value is None else LocalStack(value)


def localstack_option(function: F) -> F:
    """`--localstack [URL]`, passed on as `localstack`: a LocalStack, or None without the option."""
    return click.option(
        _OPTION,
        metavar="[URL]",
        callback=_localstack,
        help="Send AWS steps to this LocalStack.  [URL: $AWS_ENDPOINT_URL, "
        "or http://localhost:4566]",
    )(function)
