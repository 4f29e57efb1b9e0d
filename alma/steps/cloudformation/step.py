"""A step that is a CloudFormation stack: its definition, and what does and undoes it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from alma.core.definition import Definition, StepDefinition
from alma.core.validation import check_choice
from alma.errors import DefinitionError
from alma.steps.base import Check, DoctorOptions, SessionOptions
from alma.steps.cloudformation.form import FORM
from alma.steps.step import Output, Step, plain_variables
from alma.steps.values import code, digest, lacking, plain

if TYPE_CHECKING:
    from alma.steps.cloudformation.handler import CloudFormationHandler
    from alma.steps.cloudformation.ownership import CloudFormationSession
    from alma.steps.cloudformation.template import Template

CloudFormationCompensation = Literal["destroy", "retain"] | Callable[..., Any]

CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class CloudFormationStep(Step):
    """A stack, by its template. `region`, `profile` and `endpoint`: empty for boto3's own."""

    kind = "cloudformation"
    unrepaired = "CloudFormation changes nothing that its template has not changed"
    form = FORM
    sees_alone = False  # `endpoint` may be anybody's
    template: Any
    stack_name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    capabilities: Iterable[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    role_arn: str = ""
    region: str = ""
    profile: str = ""
    endpoint: str = ""
    secret_outputs: Iterable[str] = ()
    compensation: CloudFormationCompensation = "destroy"
    parsed: Template = field(init=False, repr=False)
    """What the template says, as it was when the step was made."""

    def validate(self) -> None:
        """It can be a template, and declares the parameters that it is given."""
        from alma.steps.cloudformation.template import (
            as_secrets,
            check_parameters,
            read_template,
            shown_secret,
        )

        if not callable(self.compensation):
            choices = ("destroy", "retain")
            check_choice(f"{self.where}: compensation", self.compensation, choices)
        if not _NAME.fullmatch(str(self.stack_name)):
            raise DefinitionError(
                f"{self.where}: {self.stack_name!r} cannot be the name of a CloudFormation stack.",
                hint="Give stack_name=: letters, digits and dashes, a letter at first.",
            )
        for what in ("capabilities", "secret_outputs"):
            names = getattr(self, what)
            self._set(what, (names,) if isinstance(names, str) else tuple(names))
        for name in self.capabilities:
            check_choice(f"{self.where}: capabilities", name, CAPABILITIES)
        for tag in self.tags.items():
            if not all(isinstance(word, str) for word in tag):
                raise DefinitionError(f"{self.where}: tags are texts, not {tag!r}.")
        template = read_template(self.where, self.template)
        self._set("parsed", template)
        self._set("template", None)
        given = plain_variables(self, self.parameters)
        check_parameters(self.where, template, [*given, *self.inputs])
        self._set("parameters", as_secrets(template, given))
        literal = {k: v for k, v in self.inputs.items() if not isinstance(v, Output)}
        self._set("inputs", {**self.inputs, **as_secrets(template, literal)})
        if name := shown_secret(template, {**given, **literal}):
            raise DefinitionError(
                f'{self.where}: the parameter "{name}" is given a Secret, and would be shown.',
                hint="Declare it with NoEcho in the template.",
            )

    @property
    def values(self) -> dict[str, Any]:
        """All its parameters: values and references."""
        return {**self.parameters, **self.inputs}

    @property
    def owns(self) -> tuple[tuple[str, str], ...]:
        """Its stack."""
        place = " ".join(filter(None, (self.stack_name, self.region, self.profile, self.endpoint)))
        return (("CloudFormation stack", place),)

    def kind_fields(self) -> dict[str, Any]:
        """Which stack it is, and where: what it was before is kept beside the journal."""
        said = {
            "cloudformation": self.stack_name,
            "region": self.region,
            "profile": self.profile,
            "endpoint": self.endpoint,
            "hidden": sorted(self.parsed.hidden & self.values.keys()),
        }
        return {
            "compensation": "callable" if callable(self.compensation) else self.compensation,
            "settings": {key: value for key, value in said.items() if value},
        }

    @classmethod
    @asynccontextmanager
    async def open(
        cls, definition: Definition, asked: SessionOptions
    ) -> AsyncIterator[CloudFormationSession]:
        """The clients, and what the journal says of others' stacks."""
        from alma.steps.cloudformation.ownership import CloudFormationSession

        yield CloudFormationSession(definition, asked)

    def bind(self, session: CloudFormationSession) -> CloudFormationHandler:
        """It can do and undo. Raises ToolError where boto3 is not installed."""
        from alma.steps.callables import takes_context
        from alma.steps.cloudformation.handler import CloudFormationHandler
        from alma.steps.cloudformation.service import require

        require()
        undo = self.compensation
        if callable(undo):
            takes_context(undo, f'The compensation of step "{self.name}"')
        return CloudFormationHandler(
            name=self.name,
            service=session.service(self.name, self.kind_fields()["settings"]),
            stack=self.stack_name,
            template=self.parsed,
            capabilities=tuple(self.capabilities),
            tags=self.tags,
            role=self.role_arn,
            hidden=tuple(sorted(self.parsed.hidden & self.values.keys())),
            secret_outputs=tuple(self.secret_outputs),
            snapshots=session.snapshots,
            owned=session.require_own,
            known=session.known,
            skips=session.skips(self.name),
            validate=session.forward,
            inputs=self.values,
            compensation=undo,
            digest=digest(
                code(undo) if callable(undo) else undo,
                plain(self.values),
                self.parsed.text,
                [*self.capabilities, *self.secret_outputs, self.role_arn],
                dict(self.tags),
            ),
        )

    @classmethod
    def rebind(
        cls, definition: StepDefinition, session: CloudFormationSession | None
    ) -> CloudFormationHandler:
        """It can delete the stack, or put it back to what was kept of it."""
        from alma.steps.cloudformation.handler import CloudFormationHandler
        from alma.steps.cloudformation.service import Place, Service

        settings = definition.settings
        return CloudFormationHandler(
            name=definition.name,
            service=session.service(definition.name, settings)
            if session is not None
            else Service(Place()),
            stack=settings["cloudformation"],
            hidden=tuple(settings.get("hidden", ())),
            snapshots=session.snapshots if session is not None else None,
            known=session.known if session is not None else lambda _name: "",
            skips=session.skips(definition.name) if session is not None else (),
            compensation=definition.compensation,
            lacks=lacking(definition),
        )

    @classmethod
    async def doctor(cls, asked: DoctorOptions) -> Sequence[Check]:  # noqa: ARG003
        """boto3, and a region."""
        from importlib import metadata
        from importlib.util import find_spec

        from alma.steps.cloudformation.service import EXTRA

        if find_spec("boto3") is None:
            mend = f"pip install '{EXTRA}'"
            return (Check.missing("cloudformation", "boto3 is not installed", mend),)
        version = metadata.version("boto3")
        return (Check(name="cloudformation", level="ok", message=f"boto3 {version}"),)


def split(
    parameters: Mapping[str, Any], inputs: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values, and what is an output of another step: that is an input, and makes the order."""
    outputs = {key: value for key, value in parameters.items() if isinstance(value, Output)}
    given = {key: value for key, value in parameters.items() if key not in outputs}
    return given, {**outputs, **(inputs or {})}


def stack_name(saga: str, stack: str, step: str) -> str:
    """What a stack is called where nobody says."""
    return re.sub(r"[^A-Za-z0-9-]", "-", f"{saga}-{stack}-{step}")
