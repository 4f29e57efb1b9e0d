"""Values that a step is given, as the journal may keep them: what is secret is only named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.core.secret import secrets_in
from alma.steps.step import Output

UNDO: Final = "undo itself"
"""Among the secrets of a definition: the undo holds one, and so is not kept."""


def kept(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` that hold no secret, and the names of the `secrets`; references are left out."""
    given = {key: value for key, value in values.items() if not isinstance(value, Output)}
    secret = sorted(key for key, value in given.items() if any(secrets_in(value)))
    return {
        "values": {key: value for key, value in given.items() if key not in secret},
        "secrets": secret,
    }


def without(settings: Mapping[str, Any], redact: Redactor) -> dict[str, Any]:
    """The settings of a step without values that hold a secret of another one as plain text."""
    values = settings.get("values", {})
    telling = {key for key, value in values.items() if redact.clean(value) != value}
    requests = {key for key in ("undo", "check") if key in settings}
    if any(redact.clean(settings[key]) != settings[key] for key in requests):
        settings = {key: value for key, value in settings.items() if key not in requests}
        telling.add(UNDO)
    if not telling:
        return dict(settings)
    return {
        **settings,
        "values": {key: value for key, value in values.items() if key not in telling},
        "secrets": sorted({*settings["secrets"], *telling}),
    }


def sources(step: StepDefinition, names: frozenset[str]) -> dict[str, Any]:
    """A step's inputs from its definition alone: values, and references to steps of `names`."""
    found: dict[str, Any] = dict(step.settings.get("values", {}))
    for key, source in step.inputs.items():
        owners = [name for name in names if source.startswith(f"{name}.")]
        if source != "value" and owners:
            owner = max(owners, key=len)
            found[key] = Output(owner, source.removeprefix(f"{owner}."))
    return found
