"""`--changed`: whether a step is as its last run has left it, and if not, why not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET, Struct, field

from alma.core.definition import Definition, StepDefinition
from alma.core.events import OperationSucceeded
from alma.core.run import SagaState, StepStatus
from alma.core.secret import Secret
from alma.core.validation import is_known
from alma.errors import AuthenticationError
from alma.journal import Journal
from alma.journal.known import Known
from alma.journal.standing import Standing, standings
from alma.steps.base import IncomparableError, StepHandler
from alma.steps.step import Output

REST = "its options, or what it watches,"
"""What is in a step's digest, and has no digest of its own."""


class Earlier(Struct, frozen=True, kw_only=True):
    """A step as its last run has left it; `why` says why it cannot be left alone, or is empty.

    `digests` are of what it was given, by what a person calls it.
    """

    why: str = ""
    run: str = ""
    status: StepStatus | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def again(self) -> OperationSucceeded:
        """What the journal has of it once more, for a run that leaves it alone."""
        was = self.status
        assert was is not None  # noqa: S101 - only where `why` is empty
        return OperationSucceeded(
            step=was.name,
            operation="",
            kind="up",
            outputs=was.outputs,
            sealed=was.sealed or UNSET,
            given=was.given,
            evidence={"fingerprint": was.fingerprint, "unchanged_since": self.run},
        )


def earlier_of(journal: Journal, definition: Definition) -> dict[str, Earlier]:
    """What the journal knows of each step of a definition."""
    names = [step.name for step in definition.steps]
    known = standings(journal, definition.target, names)
    return {name: _earlier(journal, known.get(name)) for name in names}


def _earlier(journal: Journal, known: Standing | None) -> Earlier:
    if known is None:
        return Earlier(why="no run has completed it")
    run, step = known.run, known.step
    completed = run.state is SagaState.COMPLETED or bool(step.unchanged_since)
    if run.kind != "up" or step.state is not SagaState.COMPLETED or not completed:
        ended = "" if run.kind == "up" else f", a {run.kind}"
        return Earlier(why=f"its last run ({run.run}{ended}) ended {run.state.name}")
    if not step.given:
        return Earlier(why=f"run {run.run} has not kept what it was given")
    kept = Known()
    kept.add(journal, step)
    try:
        if locked := kept.locked.get(step.name):
            raise locked
        digests = journal.keys.unseal(step.given)
    except AuthenticationError:
        return Earlier(why="what it was given is sealed, and the key is not here")
    return Earlier(
        run=step.unchanged_since or run.run,
        status=step,
        digests=digests,
        outputs=kept.outputs[step.name],
    )


def digests_of(
    adapter: StepHandler,
    definition: StepDefinition,
    inputs: Mapping[str, Any],
    around: Mapping[str, Any],
) -> dict[str, str]:
    """Of all that decides what the step makes; empty where it has no state to compare with.

    `around` is what is so for the whole run. Raises IncomparableError.
    """
    given = adapter.given(inputs)
    if given is None:
        return {}
    found: dict[str, Any] = {}
    for key, source in adapter.inputs.items():
        consumed = isinstance(source, Output)
        label = f"input `{source.name}` of `{source.step}`" if consumed else f"input `{key}`"
        found[f"{label} as `{key}`" if consumed and source.name != key else label] = inputs[key]
    found |= {**given, **around, REST: definition.digest}
    return {label: _digest(value) for label, value in found.items()}


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What of it has changed, in words; empty for nothing."""
    labels = dict.fromkeys((*now, *before))
    changed = [label for label in labels if before.get(label) != now.get(label)]
    if len(changed) > 1:
        changed = [label for label in changed if label != REST]
    return f"{', '.join(changed)} changed" if changed else ""


async def unlike(earlier: Earlier, adapter: StepHandler, digests: Mapping[str, str]) -> str:
    """Why the step cannot be left alone; empty where it can. The state is looked at last."""
    if not digests:
        return "it has no state to be compared with"
    if earlier.why:
        return earlier.why
    if why := difference(earlier.digests, digests):
        return why
    status = earlier.status
    now = await adapter.state_now()
    if status is None or not status.fingerprint or now.fingerprint != status.fingerprint:
        return "state changed by somebody else" + (f" at {now.at}" if now.at else "")
    if not all(map(is_known, earlier.outputs.values())):
        return "an output of it is known to nobody any more"
    return ""


def _digest(value: Any) -> str:
    text = json.dumps(_opened(value), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _opened(value: Any) -> Any:
    """As JSON, in which a secret is another thing than the same text in plain."""
    if isinstance(value, Secret):
        if value.is_sealed:
            raise IncomparableError("it is given a secret that is not at hand")
        return {"$secret": _opened(value.value)}
    if isinstance(value, Mapping):
        return {str(key): _opened(entry) for key, entry in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_opened(entry) for entry in value]
    return value
