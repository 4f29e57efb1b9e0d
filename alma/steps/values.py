"""What a step is given, as the journal may keep it: secrets are only named; and as a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from alma.core.code_digest import code_digest
from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.core.secret import mask, secrets_in
from alma.steps.step import Output

UNDO: Final = "undo itself"
"""Among the secrets of a definition: the undo holds one, and so is not kept."""


def journaled_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` that hold no secret, and the names of the `secrets`; references are left out."""
    given = {key: value for key, value in values.items() if not isinstance(value, Output)}
    secret = sorted(key for key, value in given.items() if any(secrets_in(value)))
    return {
        "values": {key: value for key, value in given.items() if key not in secret},
        "secrets": secret,
    }


def without_secrets(settings: Mapping[str, Any], redact: Redactor) -> dict[str, Any]:
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


def inputs_of(step: StepDefinition) -> dict[str, Any]:
    """A step's inputs from its definition alone: values, and references to other steps."""
    found: dict[str, Any] = dict(step.settings.get("values", {}))
    for key, source in step.inputs.items():
        # Names may hold dots; whatever a step consumes of, it depends on.
        owners = [name for name in step.dependencies if source.startswith(f"{name}.")]
        if source != "value" and owners:
            owner = max(owners, key=len)
            found[key] = Output(owner, source.removeprefix(f"{owner}."))
    return found


LARGEST_PROJECT_FILE: Final = 1024 * 1024
"""Bytes up to which a file of a `work_dir` counts for the digest: larger ones are no source."""


def digest(*parts: Any) -> str:
    """Of parts that are JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code(function: Callable[..., Any] | None) -> str:
    """Of a function's code; empty for none."""
    return "" if function is None else code_digest(function)


def plain(values: Mapping[str, Any]) -> Any:
    """Config as it counts for the digest: of a secret, only that there is one."""
    return {
        key: f"{value.step}.{value.name}" if isinstance(value, Output) else mask(value)
        for key, value in values.items()
    }


def project_digest(work_dir: Path) -> str:
    """Of the files in the project's directory itself, stack settings left out."""
    return files_digest(
        path
        for path in sorted(work_dir.iterdir())
        if not path.name.startswith(".")
        and not (path.name.startswith("Pulumi.") and path.stem != "Pulumi")
        and path.is_file()
    )


def files_digest(paths: Iterable[Path]) -> str:
    """Of their names and contents."""
    total = hashlib.sha256()
    for path in paths:
        if path.stat().st_size <= LARGEST_PROJECT_FILE:
            total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()


def lacking(step: StepDefinition) -> str:
    """Why the journal alone does not suffice to undo the step; empty when it does."""
    if step.compensation == "callable":
        return f'The compensation of step "{step.name}" is a function, which no journal can keep.'
    for name in step.settings.get("secrets", ()):
        return f'The undo of step "{step.name}" needs a secret that no journal keeps: {name}.'
    return ""
