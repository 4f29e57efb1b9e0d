"""Whose a stack is: the journal knows which saga has made or changed it last, by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from alma.core.definition import Definition, StepDefinition
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.errors import DefinitionError, RefusedError, UnreachableError
from alma.pulumi.snapshot_files import snapshots_of
from alma.steps.base import Session, SessionOptions
from alma.steps.cloudformation.service import Place, Service, ServiceError
from alma.steps.cloudformation.stacks import id_of

KIND: Final = "cloudformation"
PLACE: Final = ("region", "profile", "endpoint")


class CloudFormationSession(Session):
    """What the stacks of one saga share. `forward`: it begins something, and undoes nothing."""

    def __init__(self, definition: Definition, asked: SessionOptions) -> None:
        self.definition = definition
        self.snapshots = snapshots_of(asked.journal, asked.snapshots)
        self.forward = not asked.follow
        self._runs = asked.runs
        self._skip = asked.skip
        self._last = asked.last
        self._services: dict[Place, Service] = {}

    def service(self, step: str, settings: Mapping[str, str]) -> Service:
        """The API that a step asks, at an undo that which its run has asked; shared by a place."""
        there = {} if self.forward or self._last is None else _settings(self._last, step)
        place = self.place({**there, **{key: settings[key] for key in PLACE if key in settings}})
        return self._services.setdefault(place, Service(place))

    def place(self, settings: Mapping[str, str]) -> Place:
        """Where a step's stack is: what it says, else the saga's LocalStack, else boto3's own."""
        aws = self.definition.aws
        region, profile = settings.get("region", ""), settings.get("profile", "")
        endpoint = settings.get("endpoint", "")
        localstack = aws is not None and not profile and endpoint in ("", aws.url)
        if aws is not None and localstack:
            region, endpoint = region or aws.region, aws.url
        return Place(region=region, profile=profile, endpoint=endpoint, localstack=localstack)

    def settled(self, step: StepDefinition) -> StepDefinition:
        """With the region and the endpoint that only this environment says."""
        place = self.service(step.name, step.settings).settled()
        there = {"region": place.region, "endpoint": place.endpoint}
        return replace(step, settings={**step.settings, **there})

    def skips(self, step: str) -> tuple[str, ...]:
        """The resources of a step that an operator lets its undo go past."""
        return tuple(name for owner, name in self._skip if owner == step)

    async def check(self) -> Mapping[str, str]:
        """What is to be skipped is of one of these steps; and a LocalStack answers."""
        own = {step.name for step in self.definition.steps if step.kind == KIND}
        for owner, name in self._skip:
            if owner not in own:
                raise DefinitionError(
                    f'--skip-resource {owner}:{name}: "{owner}" is no CloudFormation step of '
                    f"{self.definition.target}.",
                    hint=f"There are: {', '.join(sorted(own))}.",
                )
        for place, service in self._services.items():
            if place.localstack and await _is_away(service):
                raise UnreachableError(
                    f"LocalStack at {place.endpoint}, where CloudFormation steps of saga "
                    f'"{self.definition.saga}" go, does not answer.',
                    hint="Start it (`localstack start -d`), or say where it is: --localstack URL, "
                    "or aws=LocalStack(url).",
                )
        return {}

    async def require_own(self, id_: str) -> None:
        """Raise RefusedError where another saga has made or changed the stack with this id."""
        target = self.definition.target
        for run in await asyncio.to_thread(self._runs):
            held = [step for step in _stacks(run) if stack_of(step) == id_]
            if not held or run.state is SagaState.COMPENSATED:
                continue
            if run.definition.target != target and not _is_gone(run):
                raise RefusedError(
                    f"The CloudFormation stack {id_} is that of {run.definition.target} (run "
                    f"{run.run}), and this one would replace what that has made.",
                    hint="Give the step another stack_name=.",
                )
            return

    def known(self, name: str) -> str:
        """The id of the stack that the newest run of this target has had in this step."""
        for run in self._runs():
            if run.definition.target == self.definition.target and name in run.steps:
                step = run.steps[name]
                if step.definition.kind == KIND and (found := stack_of(step)):
                    return found
        return ""


def stack_of(step: StepStatus) -> str:
    """The id of the stack that a step's run has worked on; empty where nobody has told."""
    started = id_of(step.started.fingerprint) if step.started else ""
    return id_of(step.fingerprint) or (started if step.began else "")


def _settings(run: RunStatus, name: str) -> dict[str, str]:
    """Where a run has had the stack of a step."""
    step = run.steps.get(name)
    if step is None or step.definition.kind != KIND:
        return {}
    return {key: step.definition.settings[key] for key in PLACE if key in step.definition.settings}


def _stacks(run: RunStatus) -> Sequence[StepStatus]:
    return [step for step in run.steps.values() if step.definition.kind == KIND]


def _is_gone(run: RunStatus) -> bool:
    return run.kind == "destroy" and run.state is SagaState.COMPLETED


async def _is_away(service: Service) -> bool:
    try:
        await service.call("describe_account_limits")
    except ServiceError as error:
        return not error.code
    return False
