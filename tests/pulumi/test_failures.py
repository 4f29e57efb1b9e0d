"""What goes wrong in a program, a provider, a worker or a passphrase, and how it is told."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alma.core.events import Failure
from alma.core.secret import Secret
from alma.errors import AuthenticationError, BackendError, DefinitionError, ToolError
from alma.pulumi.local import PulumiEngine
from tests.pulumi import programs
from tests.pulumi.conftest import Place, until


def _read(path: str) -> str:
    return Path(path).read_text()


async def _failure(place: Place, program: Callable[[], Any], **options: Any) -> Failure:
    result = await place.up(program, **options)
    assert result.failure is not None
    return result.failure


async def test_a_broken_program_is_told_in_one_line(place: Place) -> None:
    """The exception and the user's own line; the traceback is in the log."""
    failure = await _failure(place, programs.broken)
    assert failure.kind == "program"
    assert failure.message.startswith("ValueError: the program is broken (programs.py:")
    assert "Traceback" in _read(failure.log)
    checkpoint = await place.engine.inspect(place.ref())
    assert "a" in {resource.urn.rsplit("::", 1)[1] for resource in checkpoint.resources}


async def test_an_error_in_an_apply_is_the_programs(place: Place) -> None:
    """It surfaces only after the program has returned."""
    failure = await _failure(place, programs.broken_later)
    assert failure.kind == "program"
    assert failure.message.startswith("KeyError: 'not in there' (programs.py:")


async def test_what_fails_as_a_broken_program_is_cut_off_is_not_told_in_its_place(
    place: Place,
) -> None:
    """Which of its tasks are still at work then is a matter of chance."""
    failure = await _failure(place, programs.broken_and_untidy)
    assert failure.message.startswith("ValueError: the program is broken, and task.done()=False")


@pytest.mark.parametrize(
    ("program", "words"),
    [(programs.exits, "sys.exit(3)"), (programs.interrupts_itself, "KeyboardInterrupt")],
)
async def test_a_program_cannot_end_its_worker(
    place: Place, program: Callable[[], None], words: str
) -> None:
    """What is no Exception is a failure of the program like any other."""
    failure = await _failure(place, program)
    assert failure.kind == "program"
    assert words in failure.message


async def test_a_providers_refusal_names_the_resource(place: Place) -> None:
    """In the provider's own words; what was made before it is in the state."""
    failure = await _failure(place, programs.refused)
    assert failure.kind == "provider"
    # A newer SDK sends the traceback, of which its class and the user's own line are told.
    told = r"quota exceeded|RuntimeError: quota exceeded \(programs\.py:\d+ in create\)"
    assert re.fullmatch(told, failure.message)
    assert failure.urn.endswith("::b")
    checkpoint = await place.engine.inspect(place.ref())
    names = {resource.urn.rsplit("::", 1)[1] for resource in checkpoint.resources}
    assert "a" in names
    assert "b" not in names


async def test_a_failure_that_changed_nothing_leaves_the_fingerprint(place: Place) -> None:
    """So that the run knows that there is nothing to undo."""
    await place.up(programs.one)
    before = await place.engine.inspect(place.ref())
    await _failure(place, programs.broken)
    assert (await place.engine.inspect(place.ref())).fingerprint == before.fingerprint


async def test_a_failed_delete_is_told_and_what_is_left_is_in_the_state(place: Place) -> None:
    """A destroy that fails keeps the resource."""
    await place.up(programs.sticky)
    result = await place.destroy()
    assert result.failure is not None
    assert result.failure.kind == "provider"
    assert "somebody uses it" in result.failure.message
    assert not (await place.engine.inspect(place.ref())).is_empty


async def test_after_a_failure_the_next_operation_has_a_new_worker(place: Place) -> None:
    """A user's threads may still run in the old one."""
    await _failure(place, programs.broken)
    await place.up(programs.one)
    assert len({place.worker(operation).pid for operation in place.operations}) == 2


async def test_a_program_that_ends_its_process_is_a_failure_of_the_worker(place: Place) -> None:
    """`os._exit` takes the worker; its CLI is waited for."""
    failure = await _failure(place, programs.vanishes)
    assert failure.kind == "worker"
    assert "code 7" in failure.message
    assert not place.live_locks()


async def test_a_killed_worker_leaves_a_cli_that_drains(place: Place) -> None:
    """The resource in flight is finished and recorded before the failure is told."""
    gate = place.root / "gate"
    request = place.request(programs.waits(str(gate)), create=True)
    operation = place.operation()
    running = asyncio.create_task(place.engine.up(request, operation))
    await until(Path(f"{gate}.begun").exists)
    os.kill(place.worker(operation).pid, signal.SIGKILL)
    await asyncio.sleep(0)
    assert not running.done()
    gate.touch()
    result = await running
    assert result.failure is not None
    assert result.failure.kind == "worker"
    assert "signal 9" in result.failure.message
    checkpoint = await place.engine.inspect(place.ref())
    assert "slow" in {resource.urn.rsplit("::", 1)[1] for resource in checkpoint.resources}
    assert not checkpoint.pending
    assert not place.live_locks()
    assert (await place.up(programs.one)).failure is None


async def test_a_wrong_passphrase_is_found_before_anything_happens(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CLI finds it before it runs the program."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "right")
    first = PulumiEngine()
    place.engine = first
    await place.up(programs.one)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    failure = await _failure(place, programs.two)
    assert failure.kind == "passphrase"
    assert failure.hint
    undone = await place.destroy()
    assert undone.failure is not None
    assert undone.failure.kind == "passphrase"
    await first.close()


async def test_a_lost_passphrase_is_found_by_the_check(place: Place) -> None:
    """A new random one would not fit the stacks that are there."""
    await place.up(programs.one)
    (place.root / ".alma" / "passphrase").unlink()
    with pytest.raises(AuthenticationError, match="passphrase"):
        await place.engine.check()
    assert not (place.root / ".alma" / "passphrase").exists()


async def test_a_wrong_passphrase_is_found_by_the_check(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started; that a right one fits is remembered, and costs no process."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "right")
    engine = PulumiEngine()
    request = place.request(programs.one, create=True)
    assert (await engine.up(request, place.operation())).failure is None
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    with pytest.raises(AuthenticationError, match="not the one that the secrets of stack"):
        await engine.check([place.ref()])
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "right")
    await engine.check([place.ref()])
    before = len(place.commands())
    await engine.check([place.ref()])
    assert len(place.commands()) == before
    await engine.close()


@pytest.mark.usefixtures("place")
async def test_a_passphrase_file_that_is_not_there_is_found_by_the_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before any process."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", "nowhere")
    engine = PulumiEngine()
    with pytest.raises(AuthenticationError, match="nowhere"):
        await engine.check()
    await engine.close()


async def test_a_backend_that_is_not_there_is_found_by_the_check(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And by a look at the state."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file://./nowhere")
    engine = PulumiEngine()
    with pytest.raises(BackendError, match="nowhere"):
        await engine.check()
    with pytest.raises(BackendError, match="nowhere"):
        await engine.inspect(place.ref())
    await engine.close()


async def test_a_damaged_state_is_named(place: Place) -> None:
    """Half a file is no empty stack."""
    await place.up(programs.one)
    state = place.root / ".alma" / "state" / ".pulumi" / "stacks" / "demo" / "dev.json"
    state.write_text(state.read_text()[:200])
    with pytest.raises(BackendError, match=r"dev\.json"):
        await place.engine.inspect(place.ref())


async def test_a_missing_or_old_cli_is_one_clear_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the way out."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    with pytest.raises(ToolError, match="not found on PATH"):
        await place.engine.check()
    old = empty / "pulumi"
    old.write_text("#!/bin/sh\necho v3.100.0\n")
    old.chmod(0o755)
    with pytest.raises(ToolError, match=r"is Pulumi 3\.100\.0; alma needs 3\.259\.0"):
        await place.engine.check()


@pytest.mark.parametrize("name", ["--help", "..", "a/b", "a\nb", "x" * 101, "", "a\0b", "dév"])
async def test_a_hostile_name_reaches_no_process(place: Place, name: str) -> None:
    """Neither as a stack nor as a project."""
    for names in ({"stack": name}, {"project": name}):
        with pytest.raises(DefinitionError):
            await place.engine.inspect(place.ref(**names))
    assert place.commands() == []
    assert not (place.root / ".alma").exists()


async def test_a_secret_in_an_error_is_redacted(place: Place) -> None:
    """In the failure and in the logs."""
    failure = await _failure(place, programs.blabs, config={"token": Secret("CANARY-token")})
    assert failure.message.startswith("ValueError: cannot log in with [secret]")
    for log in Path(failure.log).parent.iterdir():
        assert "CANARY" not in log.read_text()


@pytest.mark.usefixtures("place")
async def test_a_service_that_is_not_there_is_found_by_the_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A backend that is no directory is asked once, by the CLI."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "https://127.0.0.1:9")
    engine = PulumiEngine()
    with pytest.raises((BackendError, AuthenticationError)) as found:
        await engine.check()
    assert found.value.hint
    await engine.close()
