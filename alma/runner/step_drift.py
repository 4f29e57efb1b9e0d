"""What was found of a step, as anybody may see it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from alma.core.drift import Drift, PropertyDrift, ResourceDrift, Verdict
from alma.core.events import Failure
from alma.core.redaction import Redactor


class StepDrift(Struct, frozen=True, kw_only=True):
    """What was found of one step; of a step within a saga within, `step` is its path.

    `since` is when each of its resources was first seen so, by URN.
    """

    step: str
    kind: str
    drift: Drift
    stack: str = ""
    run: str = ""
    """The run that has left it as it was to be."""
    unasked: str = ""
    """Why nobody can ask it, where that is so."""
    since: Mapping[str, str] = {}

    @property
    def verdict(self) -> Verdict:
        """Of the step as a whole."""
        return "unasked" if self.unasked else self.drift.verdict


def masked(redact: Redactor, drift: Drift) -> Drift:
    """Without secrets."""

    def resource(one: ResourceDrift) -> ResourceDrift:
        properties = tuple(
            PropertyDrift(path=redact(each.path), was=clean(each.was), now=clean(each.now))
            for each in one.properties
        )
        texts = {"urn": one.urn, "id": one.id, "why": one.why}
        cleaned = {key: redact(text) for key, text in texts.items()}
        return replace(one, properties=properties, **cleaned)

    clean, failure = redact.clean, drift.failure
    if failure is not None:
        failure = Failure(
            kind=failure.kind,
            message=redact(failure.message),
            hint=redact(failure.hint),
        )
    return replace(
        drift,
        resources=tuple(map(resource, drift.resources)),
        unasked=tuple((redact(urn), why) for urn, why in drift.unasked),
        failure=failure,
        notes=tuple(map(redact, drift.notes)),
    )
