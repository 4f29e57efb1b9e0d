"""Whether what a run will use of earlier ones is known: found out before it touches anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from alma.core.definition import Definition
from alma.core.secret import Secret
from alma.core.validation import is_known
from alma.errors import AuthenticationError, RefusedError
from alma.journal.known import Known
from alma.steps.base import StepHandler
from alma.steps.step import Output

_BY_STATE: Final = {"destroy", "retain", "none", "nothing", "playbook", "saga"}
"""Compensations that are given nothing of what their step said."""


def require_known(
    definition: Definition,
    adapters: Mapping[str, StepHandler],
    acting: Collection[str],
    known: Known,
) -> None:
    """Refuse a run of which a step needs an output that nobody knows any more.

    AuthenticationError where the journal keeps it sealed and there is no key for it; RefusedError
    where an older alma kept nothing but a mask: it is never taken for the value.
    """
    for user in acting:
        for step, name in _needs(definition, adapters, user):
            outputs = known.outputs.get(
                step, {name: Secret.sealed()} if step in known.locked else {}
            )
            unknown = [key for key in outputs if name in ("", key) and not is_known(outputs[key])]
            if not unknown:
                continue
            words = f'step "{user}" needs the output "{unknown[0]}" of step "{step}"'
            if (locked := known.locked.get(step)) is not None:
                raise AuthenticationError(f"{locked.message} {_sentence(words)}", hint=locked.hint)
            if step in adapters and not adapters[step].keeps_outputs:
                raise RefusedError(
                    f"{_sentence(words)} An older alma has journaled it masked, and its true value "
                    "is known to nobody.",
                    hint="Undo that step by hand; `alma-pulumi skip` lets an undo go past it.",
                )


def _needs(
    definition: Definition, adapters: Mapping[str, StepHandler], user: str
) -> Iterator[tuple[str, str]]:
    """Outputs that a step may be given, by step and name; an empty name is for all of them."""
    for source in adapters[user].inputs.values():
        if isinstance(source, Output):
            yield source.step, source.name
    if definition.step(user).compensation not in _BY_STATE:
        yield user, ""


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
