"""What is told of a run: its steps, why it failed, what was undone, what is left, what is next."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alma.core.definition import Definition
from alma.core.events import Event, Failure, Leftover, OperationFailed, Workflow
from alma.core.run import RunStatus, SagaState, StepStatus
from alma.reports import approvals, text

if TYPE_CHECKING:
    from alma.journal.address import Address

Way = Literal["resume", "rollback"]
_WAY = {
    "destroyed": "destroyed",
    "unchanged": "nothing to undo: it was as before",
    "called": "its compensation was called",
    "nothing": "nothing to undo",
    "restored": "put back to the state it was in",
    "undone": "undone as a whole",
}


def title(run: RunStatus) -> str:
    """`three-tier/dev`, the saga and its stack."""
    return text.name(run.definition.target)


def state_in(run: RunStatus) -> str:
    """Where its stacks are kept; empty for a run that has none, or of a journal that is silent."""
    return places(run.definition, run.backend, run.directory)


def places(definition: Definition, backend: str, directory: str) -> str:
    """Where stacks are kept, whose own backend is said or this one; `.alma` is in the directory."""
    default = (Path(directory) / ".alma" / "state").as_uri() if directory else ""
    found: dict[str, list[str]] = {}
    for step in definition.steps:
        if step.project and (url := step.backend or backend):
            shown = ".alma/state" if url == default else text.one_line(url)
            found.setdefault(shown, []).append(text.name(step.name))
    if len(found) < 2:  # noqa: PLR2004
        return next((f"state in {place}" for place in found), "")
    return "state in " + "; ".join(f"{place} ({', '.join(of)})" for place, of in found.items())


def how_many(run: RunStatus) -> str:
    """`3 steps`, or `2 of 5 steps` where others were not selected."""
    if not run.left_out:
        return text.count(len(run.steps), "step")
    return f"{len(run.steps)} of {text.count(len(run.steps) + len(run.left_out), 'step')}"


def not_selected(run: RunStatus) -> str:
    """The steps of the saga that the run was not about; empty where it was about all."""
    return ", ".join(text.name(name) for name in run.left_out)


def seconds(run: RunStatus) -> float | None:
    """How long the run took; None while it is not over."""
    if run.created_at is None or run.ended_at is None:
        return None
    return (run.ended_at - run.created_at).total_seconds()


def ran_on(run: RunStatus) -> str:
    """`ci-7, pid 4711`, and what is known of that host."""
    process = run.runner
    if process is None:
        return ""
    where = f"{text.name(process.machine)}, pid {process.pid}"
    if process.host in run.gone:
        return f"{where}; that host is gone"
    return f"{where}; that host says that it is gone with it" if process.ephemeral else where


def driven_by(workflow: Workflow) -> str:
    """For a run that nobody drives here; whether that is at work only Temporal can tell."""
    where = f"{text.name(workflow.namespace)} at {text.name(workflow.address)}"
    return (
        f"by Temporal: workflow {text.name(workflow.id)} in {where}; `resume` starts it again if "
        "Temporal has lost it"
    )


def steps(run: RunStatus) -> list[str]:
    """A table of the steps."""
    rows = [
        (
            step.name,
            step.state.name,
            str(step.operations or "-"),
            text.duration(step.seconds) if step.seconds else "-",
            text.changes(step.changes) or "-",
            remark(step, run),
        )
        for step in run.steps.values()
    ]
    return text.table(("STEP", "STATE", "ATTEMPTS", "TIME", "CHANGES", ""), rows)


def remark(step: StepStatus, run: RunStatus) -> str:
    """What became of it; the step at which the run failed is marked as such."""
    said = _remark(step)
    if step.name != run.failed_step:
        return said
    return f"failed; {said}" if step.state is SagaState.COMPENSATED else f"failed: {said}"


def _remark(step: StepStatus) -> str:
    failure = step.undo_failure or step.failure
    if step.skipped:
        return "skipped by an operator"
    if step.retained:
        return "left as it is"
    if step.state is SagaState.COMPENSATED:
        return _WAY.get(step.how, step.how)
    if step.approval is not None:
        return approvals.remark(step.approval)
    if step.children and not failure:
        targets = dict.fromkeys(text.name(child.target) for child in step.children.values())
        return text.cut(", ".join(targets), 80)
    if step.unchanged_since:
        return f"left alone: unchanged since run {step.unchanged_since}"
    if step.in_doubt:
        return "in doubt: its last operation was cut off"
    return text.one_line(failure.message, 80) if failure else ""


def part(run: RunStatus, name: str, state: str) -> list[str]:
    """A run that is a part of another one, as `status --unfold` shows it below that."""
    return [f"{text.name(name)}: {title(run)}, run {run.run}: {state}", *steps(run)]


def outputs(run: RunStatus) -> list[str]:
    """`database.url: "..."`, for the steps of an `up` that stand; secrets are masked."""
    if run.kind != "up":
        return []
    return [
        f"  {step.name}.{text.name(name)}: {text.cut(_value(value), 300)}"
        for step in run.steps.values()
        if step.state is SagaState.COMPLETED
        for name, value in step.outputs.items()
    ]


def _value(value: Any) -> str:
    return text.plain(json.dumps(value, ensure_ascii=False))


def failures(run: RunStatus, *, tail: int = 0) -> Iterator[str]:
    """For each failed step the provider's own words, where, and the log with all of it.

    With `tail` the last so many lines of that log as well.
    """
    for step, failure, what in failed_steps(run):
        yield from _failure(step, run, failure, what, tail)


def told_failures(run: RunStatus) -> Iterator[tuple[str, str]]:
    """For each failed step what has happened to it, in some words, and why, with its resource."""
    for step, failure, what in failed_steps(run):
        where = f"{text.resource(failure.urn)}: " if failure.urn else ""
        yield f'step "{step.name}" {what}', f"{where}{text.plain(failure.message)}"


def failed_steps(run: RunStatus) -> Iterator[tuple[StepStatus, Failure, str]]:
    """Each failure of a step, and what has happened to it, in some words."""
    for step in run.steps.values():
        if step.failure is not None and run.kind == "up":
            yield step, step.failure, "failed"
        if step.undo_failure is not None:
            what = {"destroy": "destroyed", "restore": "put back"}.get(run.kind, "undone")
            yield step, step.undo_failure, f"could not be {what}"


def _failure(
    step: StepStatus, run: RunStatus, failure: Failure, what: str, tail: int
) -> Iterator[str]:
    stack = (
        f", stack {step.definition.project}/{run.definition.stack}"
        if step.definition.project
        else ""
    )
    yield f'Step "{step.name}"{stack}, {what}:'
    if failure.urn:
        yield f"  {text.resource(failure.urn)}"
    yield from text.block(failure.message, "  ")
    if failure.hint:
        yield from text.block(f"hint: {failure.hint}", "  ")
    if not failure.log:
        return
    here = Path(failure.log).exists()
    yield f"  log: {short(failure.log)}" + ("" if here else ", which is not here")
    for name, lines in _ends(failure, tail, here=here):
        yield f"  the end of {name}:"
        yield from text.block("\n".join(lines), "    ", most=len(lines))


def _ends(failure: Failure, tail: int, *, here: bool) -> list[tuple[str, list[str]]]:
    """The last lines of its log: of the files, or where they are not here as the journal has it."""
    if not here:
        return [(end.name, end.text.splitlines()) for end in failure.log_ends or ()]
    if not tail:
        return []
    from alma.runner.logs import ends_of  # a command that only reads loads no runner

    return ends_of(Path(failure.log), tail)


def ends_from_elsewhere(event: Event) -> Iterator[str]:
    """Of an operation that failed where its log is not here: the last lines of that."""
    failure = event.failure if isinstance(event, OperationFailed) else None
    if failure is not None and not (failure.log and Path(failure.log).exists()):
        for end in failure.log_ends or ():
            yield f"  the end of {end.name}:"
            lines = end.text.splitlines()
            yield from text.block(end.text, "    ", most=len(lines))


def short(path: str) -> str:
    """Relative to here where that is shorter to read."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path
    return path if relative.startswith("..") else relative


def undone(run: RunStatus) -> list[str]:
    """The steps that are verified undone, last first, as they were undone."""
    done = [step for step in run.steps.values() if step.state is SagaState.COMPENSATED]
    done.sort(key=lambda step: step.ended_at.timestamp() if step.ended_at else 0.0)
    lines = []
    for step in done:
        lines += [f"  {step.name}: {_WAY.get(step.how, step.how)}", *_renewed(step)]
    return lines


def warnings(run: RunStatus) -> list[str]:
    """What is hardly as it was meant, though nothing has failed."""
    return [f"warning: {text.name(note)}" for note in run.notes] + [
        text.cut(f"warning: {step.name}: {text.name(words)}", 400)
        for step in run.steps.values()
        for words in step.warnings
    ]


def renewed(run: RunStatus) -> list[str]:
    """What restores have made again: whoever holds an old id must be told the new one."""
    return [line for step in run.steps.values() for line in _renewed(step)]


def _renewed(step: StepStatus) -> list[str]:
    return [
        f"    {text.resource(one.urn)} was made again"
        + (f", id {text.name(one.id)}" if one.id else "")
        for one in step.renewed
    ]


def leftovers(left: tuple[Leftover, ...], gone: Mapping[Leftover, str] | None = None) -> list[str]:
    """Everything that may still exist: what, where, and why; `gone` by a later run, and which."""
    lines = []
    for item in left:
        where = f" (stack {text.name(item.stack)})" if item.stack else ""
        lines.append(f"  {text.name(item.step)}{where}")
        if item.urn:
            lines.append(
                f"    {text.resource(item.urn)}" + (f", id {text.name(item.id)}" if item.id else "")
            )
            if text.resource(item.urn) != text.name(item.urn):  # a URN, and no address
                lines.append(f"    {text.name(item.urn)}")
        elif item.id:
            lines.append(f"    id {text.name(item.id)}")
        lines += text.block(item.reason, "    ", most=3)
        if gone and item in gone:
            lines.append(f"    gone by now: run {gone[item]} has verified it")
    return lines


def next_commands(
    run: RunStatus, journal: Address | None, *, interrupted: bool, elsewhere: str = ""
) -> list[str]:
    """The commands that go on from here; empty when there is nothing to do.

    `elsewhere` is the host that may be at work on it still, and has to be gone for that.
    """
    target = "" if run.origin else " --target FILE"  # no file is journaled that could be loaded
    gone = f" --host-is-gone --reason '{text.name(elsewhere)} is gone'" if elsewhere else ""
    waiting = approvals.commands(run, journal) if interrupted else []
    return waiting + [
        text.command_line(f"{word} {run.word}{target}{gone}", journal)
        for word in ways_on(run, interrupted=interrupted)
    ]


def ways_on(run: RunStatus, *, interrupted: bool) -> tuple[Way, ...]:
    """What goes on with a run that nobody drives, the first one first."""
    if interrupted:
        only = run.direction == "back" or run.past_pivot
        return ("resume",) if only else ("resume", "rollback")
    if run.state is not SagaState.FAILED:
        return ()
    if run.backward_only or run.past_pivot:
        return ("resume",)
    if run.direction == "forward":
        return ("resume", "rollback")
    stuck = (step for step in run.started() if step.state is not SagaState.COMPENSATED)
    return () if all(step.skipped for step in stuck) else ("rollback",)


def _options(run: RunStatus) -> str:
    """What the command line has said of where the run goes: without it `up` goes elsewhere."""
    options = {"--stack": "stack", "--org": "organization"}
    said = {option: run.overrides.get(name) for option, name in options.items()}
    return "".join(f" {option} {text.quoted(value)}" for option, value in said.items() if value)


def _as_before(run: RunStatus) -> str:
    """What a run was given that is not repeated: there may be secrets in it, or many words."""
    same = ["parameters"] if run.parameters else []
    same += ["selection of steps"] if run.left_out else []
    return f" with the same {' and '.join(same)}" if same else ""


def next_hint(run: RunStatus, journal: Address | None, *, interrupted: bool) -> str:
    """The way out as a hint, in one sentence."""
    commands = next_commands(run, journal, interrupted=interrupted)
    on = " or ".join(f"`{command}`" for command in commands)
    if run.waiting:
        *said, then = (f"`{one}`" for one in commands if not one.startswith("alma-pulumi rollback"))
        return f"{' or '.join(said)}, then {then}."
    if interrupted:
        return f"Go on: {on}."
    if run.state is SagaState.COMPENSATED:
        if not run.origin:
            return "Mend the cause, then up again."
        again = text.command_line(f"up {text.quoted(short(run.origin))}{_options(run)}", journal)
        return f"Mend the cause, then `{again}`{_as_before(run)}."
    if run.state is SagaState.FAILED:
        return f"Mend the cause, then {on}." if on else "What is left must be removed by hand."
    return ""
