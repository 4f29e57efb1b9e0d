"""Bugs put into alma on purpose, each in a copy of it: do the tests notice?

`python -m tests.faults.mutants [NAME ...]` applies each mutant to a copy, runs the tests chosen
for it against that copy, and prints which test failed. A mutant that nobody notices, and one
whose text is no longer in the code, is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Final

from tests.memory import in_memory

ROOT: Final = Path(__file__).parents[2]
HANGS: Final = 200
"""Seconds after which a test has failed: what a mutant forgets is waited for much longer."""

_MODEL: Final = "tests/faults/model"
MODEL: Final = tuple(f"{_MODEL}/test_{each}.py" for each in ("found", "rows", "model"))
"""The cases that are drawn come last: a bug that a written one shows is noticed in seconds."""
ACTIONS: Final = "tests/runner/test_actions.py"
RESUME: Final = "tests/runner/test_resume.py"
INTERRUPTS: Final = "tests/runner/test_interrupts.py"
SIGNALS: Final = "tests/runner/test_signals.py"
DECIDE: Final = "tests/core/test_decide_forward.py"
JOURNAL: Final = "tests/journal/test_sqlite.py"
CHAIN: Final = "tests/journal/test_chain.py"
SEALED: Final = "tests/runner/test_sealed.py"
_UNDONE: Final = "other.state is done or other.skipped or _opaque(other)"


@dataclass(frozen=True)
class Mutant:
    """`edits` are (file under alma, old text, new text); each old text stands there once."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    tests: tuple[str, ...] = MODEL


def _one(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, ((file, old, new),), tests or MODEL)


MUTANTS: Final = (
    _one(
        "the intent is not recorded",
        "runner/executor.py",
        "self.recorder.record_next(intended).operation",
        "intended(self.recorder.run.seq + 1).operation",
    ),
    _one(
        "commits are not synced to disk",
        "journal/sqlite/connection.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = OFF",
        JOURNAL,
    ),
    Mutant(
        "undone in forward order",
        (
            (
                "core/decide.py",
                "for name in reversed(run.definition.order)",
                "for name in run.definition.order",
            ),
            (
                "core/decide.py",
                f"if all({_UNDONE} for other in dependents)",
                "if dependents is not None",
            ),
        ),
    ),
    _one(
        "an undo does not wait for the dependents'",
        "core/decide.py",
        f"if all({_UNDONE} for other in dependents)",
        "if dependents is not None",
    ),
    _one(
        "the intent is committed after its effect",
        "runner/executor.py",
        "        operation = self.recorder.record_next(intended).operation\n",
        "        self.recorder.defer(one := intended(self.recorder.run.seq + 1))\n"
        "        operation = one.operation\n",
    ),
    _one(
        "a start does not wait for its dependencies",
        "core/run.py",
        "for place, name in enumerate(self.order) if not self._missing[name]]",
        "for place, name in enumerate(self.order) if self._missing[name] >= 0]",
    ),
    _one(
        "destroy's exit code is trusted",
        "steps/stack/handler.py",
        "if after.is_empty:",
        "if result.failure is None:",
    ),
    _one(
        "the failed step is not undone",
        "core/decide.py",
        "if run.backward_only or step.started is not None",
        "if run.backward_only or (step.started is not None and step.state is not FAILED)",
    ),
    _one(
        "the epoch is not checked",
        "journal/journal.py",
        "            lease.check_epoch(place.epoch)\n",
        "",
    ),
    _one(
        "pending operations are ignored",
        "pulumi/engine.py",
        "return not self.resources and not self.pending",
        "return not self.resources",
    ),
    _one(
        "a stack that existed before is destroyed",
        "steps/stack/handler.py",
        "            if status.started and status.started.held:\n",
        "            if status.started is None:\n",
    ),
    _one(
        "a repeated operation in doubt counts as a retry",
        "core/decide.py",
        "attempt = max(step.attempts, 1) if step.in_doubt else step.attempts + 1",
        "attempt = step.attempts + 1",
        ACTIONS,
        DECIDE,
    ),
    _one(
        "a retained step counts as clean",
        "core/step_state.py",
        "step.state, step.retained, step.ended_at = FAILED, True, entry.at",
        "step.state, step.retained, step.ended_at = COMPENSATED, True, entry.at",
    ),
    _one(
        "that a record is gone is not verified",
        "steps/stack/handler.py",
        "if not (await self.engine.inspect(self.ref)).exists:",
        "if result.failure is None:",
    ),
    _one(
        "a record that was there before is removed",
        "steps/stack/handler.py",
        "ours = started is not None and not started.record_existed",
        "ours = started is not None",
    ),
    _one(
        "the lease is released at once",
        "system/files.py",
        "    return FileLock(descriptor)\n",
        "    fcntl.flock(descriptor, fcntl.LOCK_UN)\n    return FileLock(descriptor)\n",
    ),
    Mutant(
        "secrets are journaled as they are",
        (
            (
                "core/secret.py",
                "    if isinstance(tree, Secret):\n        return MASK\n    if",
                "    if isinstance(tree, Secret):\n        return tree._value\n    if",
            ),
            (
                "core/redaction.py",
                "            text = self._masked(text)\n",
                "            self._masked(text)\n",
            ),
        ),
    ),
    _one(
        "what is masked is used as the value",
        "journal/known.py",
        "        if step.sealed:\n            try:",
        "        outputs = dict(step.outputs)\n        if not outputs:\n            try:",
        SEALED,
    ),
    _one(
        "resume runs completed steps again",
        "core/state.py",
        "    run.interrupts, run.suspended = 0, False\n",
        "    run.interrupts, run.suspended = 0, False\n    for step in run.steps.values():\n"
        "        step.state = RUNNING if step.state is COMPLETED else step.state\n",
    ),
    _one(
        "an operation in doubt is not settled first",
        "core/decide.py",
        "    if ready_set.doubtful:\n",
        "    if ready_set.doubtful is None:\n",
    ),
    _one(
        "a create with a lost provider is forgotten",
        "steps/stack/leftovers.py",
        "lost = {change.urn: change.op for change in status.resources if change.op in DOUBTFUL}",
        "lost: dict[str, str] = {}",
    ),
    _one(
        "an answer that cannot be taken is a refusal",
        "pulumi/doubts.py",
        "if re.search(_UNREADABLE,",
        'if re.search("^$",',
        "tests/pulumi/test_answers.py::test_what_the_sdk_cannot_send_is_a_doubt",
    ),
    _one(
        "a gateway's timeout is a refusal",
        "pulumi/doubts.py",
        'return UNANSWERED if lost_answer(said) else ""',
        'return ""',
        "tests/pulumi/test_answers.py::test_what_is_said_after_the_call_is_a_doubt",
    ),
    _one(
        "an update's lost answer is a refusal",
        "pulumi/doubts.py",
        'return UPDATING if operation == "update" else ""',
        'return ""',
        "tests/pulumi/test_lost_updates.py::test_which_operations_leave_something_open",
    ),
    _one(
        "what was done unseen passes for unchanged",
        "steps/stack/handler.py",
        "not (lost or unseen)",
        "not lost",
        "tests/pulumi/test_lost_updates.py::test_what_was_done_unseen_is_named",
    ),
    _one(
        "what a restore has lost is forgotten",
        "core/step_state.py",
        "return tuple(change for change in event.resources if change.op in ev.DOUBTFUL)",
        "return tuple(change for change in event.resources if change.op in ())",
        "tests/pulumi/test_lost_updates.py::test_a_create_that_a_restore_lost_is_not_forgotten",
    ),
    _one(
        "what was taken over is destroyed",
        "steps/stack/taking.py",
        "        if not clinging:\n",
        "        if True:\n",
        "tests/runner/test_taken_over.py",
    ),
    _one(
        "one id in two accounts is one thing",
        "pulumi/taken.py",
        "return bool(tell(mine) == tell(theirs))",
        "return True",
        "tests/pulumi/test_taken.py",
    ),
    _one(
        "a playbook without hosts is trusted",
        "steps/ansible/recap.py",
        "return self._failed() or missed or self._reached_nobody(optional)",
        "return self._failed() or missed",
        "tests/steps/test_ansible_reached.py::test_a_playbook_that_reaches_nobody_fails_and_names_the_pattern",
    ),
    _one(
        "the environment's flags reach Terraform",
        "steps/terraform/cli.py",
        "passed = without_flags(os.environ, TERRAFORM)",
        "passed = dict(os.environ)",
        "tests/pulumi/test_environment.py::test_terraform_is_given_none_of_them",
    ),
    _one(
        "a stack of outputs alone counts as new",
        "pulumi/engine.py",
        "return len(self.resources) + len(self.pending) or min(1, len(self.outputs))",
        "return len(self.resources) + len(self.pending)",
        "tests/restore/test_held.py::test_what_was_there_before_is_put_back[False-outputs]",
    ),
    _one(
        "an output that an update lost is not missed",
        "pulumi/restore/compare.py",
        "    yield from _lost(entry, there)\n",
        "",
        "tests/restore/test_held.py::test_an_output_that_the_update_lost_is_named",
    ),
    _one(
        "the environment's flags reach the CLI",
        "pulumi/backend.py",
        "env = without_flags(environ, PULUMI, PYTHON)",
        "env = dict(environ)",
        "tests/pulumi/test_environment.py::test_up_and_undo_are_as_without_them",
    ),
    _one(
        "a lock of another namespace is broken",
        "pulumi/recovery.py",
        "proven = not self._unseen and self._locks.is_dead(lock, self._journaled)",
        "proven = self._locks.is_dead(lock, self._journaled)",
        "tests/pulumi/test_crashes.py::test_a_lock_of_another_namespace_is_not_broken",
    ),
    _one(
        "a word about one host breaks any lock",
        "pulumi/locks.py",
        "named = self.host in gone.machines",
        "named = bool(gone.machines)",
        "tests/pulumi/test_crashes.py::test_a_lock_of_a_host_that_is_gone_is_broken_and_no_other",
    ),
    _one(
        "what another host has begun is taken for dead",
        "runner/hosts.py",
        "if found and shared:",
        "if found and not shared:",
        "tests/runner/test_other_hosts.py"
        "::test_without_a_word_nothing_is_begun_and_with_it_the_run_ends",
    ),
    _one(
        "state in a directory of another host is called destroyed",
        "steps/stack/reach.py",
        "if elsewhere and not (await engine.inspect(ref)).exists:",
        "if False and elsewhere and not (await engine.inspect(ref)).exists:",
        "tests/runner/test_other_hosts.py"
        "::test_a_destroy_does_not_call_gone_what_is_on_another_host",
    ),
    _one(
        "what hangs in the state is not named",
        "steps/stack/leftovers.py",
        "return (*self.of(_owned(checkpoint), reason), *pending)",
        "return self.of(_owned(checkpoint), reason)",
    ),
    _one(
        "a check that cannot tell says gone",
        "steps/command/handler.py",
        "return seen.code in (self.gone or GONE)",
        "return seen.code != 0",
        "tests/steps/test_command.py::test_what_is_not_seen_to_be_gone_is_a_leftover",
    ),
    _one(
        "a command that outlived its runner is not waited for",
        "steps/command/handler.py",
        "words = await wait_for(operation, names, whole=True)",
        "words: list[str] = []",
        "tests/steps/test_command_runners.py::test_a_command_outlives_its_runner_and_is_not_repeated",
    ),
    _one(
        "what was there before a command is undone",
        "steps/command/handler.py",
        'if call.kind == "up" and (kept := self._not_ours(call.status)) is not None:',
        "if (kept := None) is not None:",
        "tests/steps/test_command.py::test_what_was_there_before_is_left",
    ),
    _one(
        "what a shell has started goes on beside the undo",
        "system/programs.py",
        "if self.why and command.whole:",
        "if self.why and not command.whole:",
        "tests/steps/test_command_runners.py::test_at_the_deadline_all_of_it_is_ended_and_undone",
    ),
    _one(
        "what is done is done again when it is asked again whether it is ready",
        "core/step_state.py",
        "    step.awaiting = event\n",
        "",
        "tests/faults/model/test_rows.py::test_ready",
    ),
    _one(
        "it is asked whether it is ready before the journal has what is done",
        "runner/executor.py",
        "self.recorder.record(event)  # before it is asked",
        "self.recorder.defer(event)  # before it is asked",
        "tests/runner/test_ready.py::test_the_journal_fails_before_it_is_asked",
    ),
    _one(
        "a request that was done and is not ready is taken for refused",
        "steps/http/handler.py",
        "status.failure is not None and not status.acted",
        "status.failure is not None",
        "tests/runner/test_ready.py::test_a_request_that_is_not_ready_is_undone_although_it_has_failed",
    ),
    _one(
        "what is not ready has succeeded",
        "runner/executor.py",
        "if failure is None:\n                return replace(outcome",
        "if failure is None or times:\n                return replace(outcome",
        "tests/runner/test_ready.py::test_when_it_does_not_hold_the_step_itself_is_undone",
    ),
    _one(
        "over what could not be asked there is no drift",
        "core/drift.py",
        "if self.failure is not None or self.unasked:",
        "if False:",
        "tests/runner/test_drift.py::test_what_was_taken_away_is_told_and_what_could_not_be_asked_as_well",
    ),
    _one(
        "a run that begins while drift is looked for is not seen",
        "runner/left_up.py",
        "if journal.latest_epoch(target) != epoch:",
        "if False:",
        "tests/runner/test_drift.py::test_while_a_run_is_under_way_it_is_refused",
    ),
    _one(
        "a repair that was cut off goes on by the state alone",
        "runner/executor.py",
        "repair=bool(run.drifted(status.name)),",
        "repair=False,",
        "tests/runner/test_repair.py::test_a_repair_that_was_cut_off_goes_on_as_one",
    ),
    _one(
        "the pivot does not hold",
        "core/run.py",
        'return self.kind == "up" and any(',
        "return False and any(",
        DECIDE,
    ),
    _one(
        "a new run starts over an interrupted one",
        "runner/start.py",
        "                refuse_unfinished(journal, definition)\n",
        "",
        RESUME,
    ),
    _one(
        "a second signal leaves no trace",
        "runner/runner.py",
        "            if step.open is not None:\n                self._recorder",
        "            if step.open is None:\n                self._recorder",
        INTERRUPTS,
    ),
    _one(
        "the host's handler is forgotten",
        "runner/signals.py",
        "            signal.signal(caught, old)",
        "            signal.signal(caught, signal.SIG_IGN)",
        # By its handler; the test of a loop's waits for what never comes.
        f"{SIGNALS}::test_a_handler_of_the_hosts_process_is_told_during_a_run_and_after_it",
    ),
    _one(
        "the host is not told while a run goes on",
        "runner/signals.py",
        "    if callable(host) and not",
        "    if host is None and not",
        SIGNALS,
    ),
    _one(
        "the first run to end takes the handlers of the others",
        "runner/signals.py",
        "            if not _holders:\n                _let_sleep()\n",
        "            if True:\n                _let_sleep()\n",
        SIGNALS,
    ),
    _one(
        "a signal before the first step cuts it off",
        "runner/runner.py",
        "                await asyncio.sleep(0)\n",
        "",
        SIGNALS,
    ),
    _one(
        "retries are not bounded",
        "core/step_state.py",
        "return made < attempts and failure.kind not in ev.NOT_RETRIED",
        "return failure.kind not in ev.NOT_RETRIED",
        DECIDE,
    ),
    _one(
        "the chain is not followed",
        "journal/chain.py",
        "if row.prev != self.head.hash:",
        "if row.prev is None:",
        CHAIN,
    ),
)


class StaleMutantError(Exception):
    """The text that a mutant replaces is not in the code, or not just once."""


def mutated(mutant: Mutant, package: Path = ROOT / "alma") -> dict[str, str]:
    """The files of the package that the mutant changes, with their new content."""
    files: dict[str, str] = {}
    for file, old, new in mutant.edits:
        text = files.get(file) or (package / file).read_text()
        if text.count(old) != 1:
            raise StaleMutantError(f"{mutant.name}: {text.count(old)} times in {file}: {old!r}")
        files[file] = text.replace(old, new)
    return files


@contextmanager
def copy_of_alma() -> Iterator[Path]:
    """A copy of the package and of its tests, to be spoiled."""
    with tempfile.TemporaryDirectory(prefix="alma-mutant-", dir=in_memory()) as scratch:
        # With its bytecode, which fits files whose time and size are the same: to compile all anew
        # takes longer than most tests that notice a mutant.
        # Not what another Python is just writing of it: that is gone when it comes to be copied.
        ignore = shutil.ignore_patterns("*.pyc.*")
        for folder in ("alma", "tests", "stacks"):
            shutil.copytree(ROOT / folder, Path(scratch, folder), ignore=ignore)
        shutil.copy(ROOT / "pyproject.toml", scratch)
        yield Path(scratch)


def caught_by(mutant: Mutant, *, cases: int = 250, seconds: float = 900) -> str:
    """The test that failed on the mutant, or an empty string."""
    with copy_of_alma() as copy:
        for file, text in mutated(mutant).items():
            path = copy / "alma" / file
            path.write_text(text)
            Path(cache_from_source(path)).unlink(missing_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ALMA_FAULTS_CASES": str(cases),
            "ALMA_FAULTS_SHRINK": "0",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command.append(f"--timeout={HANGS}")
        done = subprocess.run(
            [*command, *mutant.tests],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    summary = done.stdout.rpartition("short test summary info")[2]  # a log may say ERROR, too
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", summary, re.MULTILINE)
    if done.returncode == 1 and failed is not None and failed[0].startswith("FAILED"):
        return failed[1]
    if done.returncode == 0:
        return ""
    said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    raise RuntimeError(f"{mutant.name}: the tests ended with {done.returncode}:\n{said}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a mutant was not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutants", description=__doc__)
    parser.add_argument("name", nargs="*", help="part of the names to try (default: all)")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if not options.name or any(n in m.name for n in options.name)]
    began = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(zip(chosen, pool.map(caught_by, chosen), strict=True))
    for mutant, test in results:
        sys.stdout.write(f"{mutant.name:<50} {test or 'NOT CAUGHT'}\n")
    missed = sum(not test for _, test in results)
    seconds = time.monotonic() - began
    sys.stdout.write(f"{len(results)} mutants, {missed} not caught, {seconds:.0f} s\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
