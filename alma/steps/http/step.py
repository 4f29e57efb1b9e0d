"""A step that is a request to an HTTP API: its definition, and what does and undoes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from alma.core.definition import StepDefinition
from alma.core.secret import Secret, mask, secrets_in
from alma.steps.base import Check, DoctorOptions, Session
from alma.steps.http.form import FORM
from alma.steps.http.request import (
    PLACEHOLDER,
    Asked,
    Request,
    check_request,
    goes_by_outputs,
    is_among,
    origin_of,
)
from alma.steps.step import Step
from alma.steps.values import code, digest, inputs_of, journaled_values, lacking, plain

if TYPE_CHECKING:
    from alma.steps.http.handler import HttpHandler


_ASKED: Final = ("undo", "check")


@dataclass(frozen=True, kw_only=True)
class HttpStep(Step):
    """A request, what undoes it, and what shows that it is undone."""

    kind = "http"
    form = FORM
    do: Asked
    undo: Asked | Literal["none"] | None = None
    check: Asked | None = None
    existed: Asked | None = None
    secret_outputs: Iterable[str] = ()

    def validate(self) -> None:
        """Requests, whose placeholders something will fill."""
        check_request(self.where, "do", self.do, self.inputs)
        if self.existed is not None:
            check_request(self.where, "existed", self.existed, self.inputs)
        for what, asked in (("undo", self.undo), ("check", self.check)):
            if asked not in (None, "none"):
                check_request(self.where, what, asked, self.inputs)
        self._set("secret_outputs", tuple(self.secret_outputs))

    def secrets(self) -> Iterator[Secret]:
        """Those in its requests as well."""
        yield from super().secrets()
        for asked in (self.do, self.undo, self.check, self.existed):
            if isinstance(asked, Request):
                yield from secrets_in([asked.json, asked.headers, asked.params])

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
        origin = self._origin() if any(map(goes_by_outputs, asked.values())) else ""
        needed |= {name for kind, name in PLACEHOLDER.findall(origin) if kind == "inputs"}
        inputs = {key: value for key, value in self.inputs.items() if is_among(key, needed)}
        settings = journaled_values(inputs)
        if origin:
            settings["origin"] = origin
        plain = all(one.is_plain() for one in asked.values())
        for key, one in asked.items():
            settings[key] = one.to_json() if plain else Secret(one.to_json())
        return {"compensation": "request", "settings": settings}

    def _origin(self) -> str:
        return origin_of(self.do.url) if isinstance(self.do, Request) else ""

    def bind(self, session: Session) -> HttpHandler:  # noqa: ARG002 - one signature for all
        """It can do and undo. Raises ToolError where httpx is not installed."""
        from alma.steps.callables import takes_context
        from alma.steps.http.client import require
        from alma.steps.http.handler import HttpHandler

        require()
        parts: list[Any] = [plain(self.inputs), list(self.secret_outputs)]
        for what, asked in (("do", self.do), ("undo", self.undo), ("check", self.check)):
            if callable(asked):
                takes_context(asked, f'The {what} of step "{self.name}"')
            if isinstance(asked, Request):
                parts.append(mask(asked.to_json()))
            else:
                parts.append(code(asked) if callable(asked) else asked)
        if callable(self.existed):
            takes_context(self.existed, f'The existed of step "{self.name}"')
        return HttpHandler(
            name=self.name,
            do=self.do,
            origin=self._origin(),
            undone_by=self.undo,
            check=self.check,
            before=self.existed,
            secret_outputs=tuple(self.secret_outputs),
            inputs=self.inputs,
            longest=max(self.retry.max_delay, self.compensation_retry.max_delay),
            digest=digest(*parts),
        )

    @classmethod
    def rebind(cls, definition: StepDefinition, session: Session | None) -> HttpHandler:  # noqa: ARG003
        """It can send what undoes, where that is a `Request`."""
        from alma.steps.http.handler import HttpHandler

        settings = definition.settings
        asked = {}
        for key in _ASKED:
            if (kept := settings.get(key)) is not None:
                asked[key] = Request(**(kept.value if isinstance(kept, Secret) else kept))
        return HttpHandler(
            name=definition.name,
            undone_by="none" if definition.compensation == "nothing" else asked.get("undo"),
            check=asked.get("check"),
            origin=settings.get("origin", ""),
            inputs=inputs_of(definition),
            longest=definition.compensation_retry.max_delay,
            lacks=lacking(definition),
        )

    @classmethod
    async def doctor(cls, asked: DoctorOptions) -> Sequence[Check]:  # noqa: ARG003
        """httpx."""
        from importlib import metadata
        from importlib.util import find_spec

        if find_spec("httpx") is None:
            return (
                Check.missing("http", "httpx is not installed", "pip install 'alma-pulumi[http]'"),
            )
        return (Check(name="http", level="ok", message=f"httpx {metadata.version('httpx')}"),)
