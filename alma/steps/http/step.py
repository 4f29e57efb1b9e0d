"""A step that is a request to an HTTP API: its definition, and what does and undoes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from alma.core.definition import StepDefinition
from alma.core.redaction import Redactor
from alma.core.secret import mask
from alma.core.validation import check_name
from alma.steps.http.request import Asked, Request, check_request, is_among
from alma.steps.step import Step, StepOptions, step_options
from alma.steps.values import UNDO, code, digest, inputs_of, journaled_values, plain

if TYPE_CHECKING:
    from alma.steps.http.handler import HttpHandler


@dataclass(frozen=True, kw_only=True)
class HttpStep(Step):
    """A request, what undoes it, and what shows that it is undone."""

    kind = "http"
    do: Asked
    undo: Asked | Literal["none"] | None
    check: Asked | None
    secret_outputs: tuple[str, ...]

    def kind_fields(self) -> dict[str, Any]:
        """How it is undone: with the requests themselves, where they hold nothing secret."""
        if self.undo is None:
            return {"compensation": "none"}
        if self.undo == "none":
            return {"compensation": "nothing"}
        if not isinstance(self.undo, Request) or callable(self.check):
            return {"compensation": "callable"}
        asked = {"undo": self.undo, **({"check": self.check} if self.check else {})}
        needed = {
            name for one in asked.values() for kind, name in one.references() if kind == "inputs"
        }
        inputs = {key: value for key, value in self.inputs.items() if is_among(key, needed)}
        settings = journaled_values(inputs)
        if all(one.is_plain() for one in asked.values()):
            settings |= {key: one.to_json() for key, one in asked.items()}
        else:
            settings["secrets"] = sorted([*settings["secrets"], UNDO])
        return {"compensation": "request", "settings": settings}


def http_step(
    owner: object,
    name: str,
    do: Asked,
    undo: Asked | Literal["none"] | None,
    check: Asked | None,
    secret_outputs: Iterable[str],
    options: StepOptions,
) -> HttpStep:
    """See `Saga.add_http`."""
    where = f'Step "{check_name("step", name)}"'
    inputs = options.get("inputs") or {}
    check_request(where, "do", do, inputs)
    for what, asked in (("undo", undo), ("check", check)):
        if asked not in (None, "none"):
            check_request(where, what, asked, inputs)
    return HttpStep(
        do=do,
        undo=undo,
        check=check,
        secret_outputs=tuple(secret_outputs),
        **step_options(owner, where, name, **options),
    )


_ASKED: Final = ("undo", "check")


def from_plan(step: StepDefinition, names: frozenset[str]) -> HttpHandler:
    """It can send what undoes, where that is a `Request`; `names` are those of all steps."""
    from alma.steps.http.handler import HttpHandler

    asked = {key: Request(**step.settings[key]) for key in _ASKED if key in step.settings}
    return HttpHandler(
        name=step.name,
        undone_by="none" if step.compensation == "nothing" else asked.get("undo"),
        check=asked.get("check"),
        inputs=inputs_of(step, names),
        longest=step.compensation_retry.max_delay,
    )


def from_step(step: HttpStep, redactor: Redactor) -> HttpHandler:
    """It can do and undo. Raises ToolError where httpx is not installed."""
    from alma.steps.callables import takes_context
    from alma.steps.http.client import require
    from alma.steps.http.handler import HttpHandler

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
        inputs=step.inputs,
        longest=max(step.retry.max_delay, step.compensation_retry.max_delay),
        digest=digest(*parts),
    )
