"""Operations in doubt that were begun on another host: what cannot be seen from here.

A runner's lease can be lost while the runner lives, where its journal is a server's: a connection
was cut. So of such an operation nothing is assumed, until its host is there again and goes on by
itself, says of itself that it is gone with its runner, or is said to be gone by an operator.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from alma.core import events as ev
from alma.core.run import OpenOperation, RunStatus, StepStatus
from alma.errors import RefusedError
from alma.runner.settings import actor
from alma.system.processes import is_place_here


class Unseen(Struct, frozen=True, kw_only=True):
    """An operation in doubt, and the hosts (`Process.host`) on which it may still be at work."""

    step: str
    operation: OpenOperation
    hosts: tuple[str, ...]


def unseen(run: RunStatus) -> Iterator[Unseen]:
    """What this host can neither see nor knows to be gone."""
    gone = set(run.gone)
    if run.runner is not None and run.runner.ephemeral:
        gone.add(run.runner.host)
    for step in run.steps.values():
        hosts = tuple(host for host in _hosts(step) if host not in gone)
        if hosts and step.open is not None and not run.state.is_final:
            yield Unseen(step=step.name, operation=step.open, hosts=hosts)


def _hosts(step: StepStatus) -> list[str]:
    found = step.open
    if found is None or (found.ephemeral and set(found.hosts) == {found.host}):
        return []
    return [host for host in found.hosts if not is_place_here(host)]


def machines_unseen(run: RunStatus) -> str:
    """Their names, for people; empty where nothing is in doubt that cannot be seen."""
    hosts = (host for one in unseen(run) for host in one.hosts)
    return " and ".join(dict.fromkeys(host.partition("#")[0] for host in hosts))


def if_gone(run: RunStatus) -> str:
    """What to say of hosts that are not seen and do not exist any more; empty where there is none.

    A sentence, to stand after how the run goes on. Only of a run that workers share: who goes on
    here is told when that is refused, and where nobody else reaches the journal it is not.
    """
    where = machines_unseen(run) if run.workflow is not None else ""
    return f" If {where} is gone for good, with `--host-is-gone --reason ...`." if where else ""


def declare_gone(run: RunStatus, reason: str, *, shared: bool) -> list[ev.HostDeclaredGone]:
    """What is to be journaled before anything of the run is gone on with.

    Raises RefusedError where the journal is shared with hosts whose lost lease proves nothing, and
    nobody has said that they are gone.
    """
    found = list(unseen(run))
    hosts = dict.fromkeys(host for one in found for host in one.hosts)
    if reason := reason.strip():
        me = actor()
        if not (hosts and run.workflow):  # of the hosts that workers share, the others may live
            # Also where what is over by now was begun: its locks may be left.
            worked = (host for step in run.steps.values() for host in step.hosts)
            hosts |= dict.fromkeys(
                host for host in worked if host not in run.gone and not is_place_here(host)
            )
        return [ev.HostDeclaredGone(host=host, actor=me, reason=reason) for host in hosts]
    if found and shared:
        raise _refused(run, found[0])
    return []


def _refused(run: RunStatus, one: Unseen) -> RefusedError:
    operation = one.operation
    where = " and ".join(dict.fromkeys(host.partition("#")[0] for host in one.hosts))
    when = f" at {operation.at:%Y-%m-%d %H:%M:%S} UTC" if operation.at else ""
    return RefusedError(
        f'Run {run.run} was cut off on {where}: the {operation.kind} of step "{one.step}" was '
        f"begun there{when}, and whether it is still at work cannot be seen from here.",
        hint=f"Go on there. If {where} is gone for good, say so: `alma-pulumi resume {run.word} "
        "--host-is-gone --reason ...` (or `rollback`).",
    )
