"""State in a directory of another host: that nothing is there, here, shows nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alma.core.run import RunStatus, SagaState
from alma.errors import DefinitionError
from alma.pulumi.engine import Engine, StackRef


def kept_elsewhere(where: str, hosts: Iterable[str]) -> str:
    """The other hosts (`Process.host`) that wrote state to this backend, if that is a directory."""
    from alma.system.processes import HOST  # psutil: whoever defines a saga does without

    if not where.startswith("file:"):
        return ""
    names = dict.fromkeys(host.partition("#")[0] for host in hosts)
    return " and ".join(name for name in names if name != HOST)


async def require_reached(
    engine: Engine, last: RunStatus | None, refs: Mapping[str, StackRef], *, follow: bool
) -> None:
    """Raise DefinitionError where stacks that the last run has made are not to be seen from here.

    They would be made a second time, or be called destroyed.
    """
    if last is None or last.kind != "up":
        return
    for step in last.steps.values():
        ref = refs.get(step.name)
        if ref is None or ref.project != step.definition.project:
            continue
        if step.state is not SagaState.COMPLETED:
            continue
        where = engine.where(ref)
        elsewhere = kept_elsewhere(where, step.hosts)
        if elsewhere and not (await engine.inspect(ref)).exists:
            hint = "Go on there, or give the saga a backend that both reach."
            if not follow:
                hint += " To begin anew, and leave that as it is, give --accept-backend."
            raise DefinitionError(
                f'Step "{step.name}": the state of its stack {ref.project} is in {where} of '
                f"{elsewhere}, where run {last.run} made it, and not here.",
                hint=hint,
            )
