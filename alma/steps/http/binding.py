"""Adapters of requests to an API."""

from __future__ import annotations

from typing import Any, Final

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.core.secret import mask
from alma.steps.callables import takes_context
from alma.steps.digests import code, digest, plain
from alma.steps.http.client import require
from alma.steps.http.handler import HttpHandler
from alma.steps.http.request import HttpStep, Request
from alma.steps.values import sources

_ASKED: Final = ("undo", "check")


def from_plan(step: StepDefinition, names: frozenset[str]) -> HttpHandler:
    """It can send what undoes, where that is a `Request`; `names` are those of all steps."""
    asked = {key: Request(**step.settings[key]) for key in _ASKED if key in step.settings}
    return HttpHandler(
        name=step.name,
        undone_by="none" if step.compensation == "nothing" else asked.get("undo"),
        check=asked.get("check"),
        sources=sources(step, names),
        longest=step.compensation_retry.max_delay,
    )


def from_step(step: HttpStep, redactor: Redactor) -> HttpHandler:
    """It can do and undo. Raises ToolError where httpx is not installed."""
    require()
    parts: list[Any] = [plain(step.inputs), list(step.secret_outputs)]
    for what, asked in (("do", step.do), ("undo", step.undo), ("check", step.check)):
        if callable(asked):
            takes_context(asked, f'The {what} of step "{step.name}"')
        if isinstance(asked, Request):
            redactor.learn([asked.json, asked.headers, asked.params])
            parts.append(mask(asked.to_json()))
        else:
            parts.append(code(asked) if callable(asked) else asked)
    return HttpHandler(
        name=step.name,
        do=step.do,
        undone_by=step.undo,
        check=step.check,
        secret_outputs=step.secret_outputs,
        sources=step.inputs,
        longest=max(step.retry.max_delay, step.compensation_retry.max_delay),
        digest=digest(*parts),
    )
