"""Up, no-op up, update, destroy and remove with the real CLI, and what each of them costs."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import psutil
import pytest

from alma.pulumi import workers
from alma.pulumi.engine import OperationResult
from alma.pulumi.local import PulumiEngine
from tests.pulumi import programs
from tests.pulumi.conftest import Place, environment, python, until


def _operations(result: OperationResult) -> dict[str, str]:
    assert result.failure is None, result.failure
    named = (change for change in result.resources if "pulumi:providers:" not in change.urn)
    return {change.urn.rsplit("::", 1)[1]: change.op for change in named}


async def test_a_stack_lives_its_whole_life(place: Place) -> None:
    """Fresh, no-op, changed, destroyed, removed: the state tells it each time."""
    ref = place.ref()
    before = await place.engine.inspect(ref)
    assert not before.exists
    assert before.is_empty

    fresh = await place.up(programs.one)
    assert _operations(fresh) == {"a": "create"}
    assert fresh.changes == {"create": 2}
    assert fresh.outputs == {"id": "id-a"}
    first = await place.engine.inspect(ref)
    assert [r.id for r in first.resources if r.type.endswith(":Resource")] == ["id-a"]
    assert not first.pending

    noop = await place.up(programs.one)
    assert _operations(noop) == {}
    assert noop.changes == {"same": 2}
    assert noop.outputs == fresh.outputs
    assert (await place.engine.inspect(ref)).fingerprint == first.fingerprint

    update = await place.up(programs.two)
    assert _operations(update) == {"b": "create"}
    assert (await place.engine.inspect(ref)).fingerprint != first.fingerprint

    gone = await place.destroy()
    assert _operations(gone) == {"a": "delete", "b": "delete"}
    empty = await place.engine.inspect(ref)
    assert empty.exists
    assert empty.is_empty

    removed = await place.engine.remove(ref, str(place.logs()), place.operation())
    assert removed.failure is None
    assert not (await place.engine.inspect(ref)).exists


async def test_an_operation_is_one_cli_process_and_a_new_stack_two(place: Place) -> None:
    """Nothing but `stack init`, `up`, `destroy` and `stack rm` is ever spawned."""
    await place.engine.check()
    await place.up(programs.nothing)
    await place.up(programs.nothing)
    await place.destroy()
    await place.engine.remove(place.ref(), str(place.logs()), place.operation())
    kinds = [line.split("--non-interactive ", 1)[1] for line in place.commands()]
    assert [kind.split(" --")[0] for kind in kinds] == [
        "stack init",
        "up",
        "up",
        "destroy",
        "stack rm",
    ]


async def test_the_version_is_asked_once_per_installed_cli(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second engine finds it in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache that is empty"))
    for engine in (PulumiEngine(), PulumiEngine()):
        await engine.check()
        await engine.close()
    assert place.commands() == ["version"]


async def test_what_is_not_there_is_destroyed_and_removed_without_a_process(place: Place) -> None:
    """Repeating an undo costs nothing."""
    assert (await place.destroy()).failure is None
    result = await place.engine.remove(place.ref(), str(place.logs()), place.operation())
    assert result.failure is None
    assert "destroy" not in "".join(place.commands())


async def test_a_record_that_is_there_already_is_no_failure(place: Place) -> None:
    """`create` is only what the caller last saw."""
    await place.up(programs.one)
    again = await place.up(programs.one, create=True)
    assert again.failure is None
    assert again.changes == {"same": 2}


async def test_a_record_with_resources_is_not_removed(place: Place) -> None:
    """It would erase the last evidence of them."""
    await place.up(programs.one)
    result = await place.engine.remove(place.ref(), str(place.logs()), place.operation())
    assert result.failure is not None
    assert result.failure.kind == "unverified"
    assert (await place.engine.inspect(place.ref())).exists


async def test_two_stacks_go_up_at_once(place: Place) -> None:
    """Each in a worker of its own; neither waits for the other."""
    gate = place.root / "gate"
    slow = asyncio.create_task(
        place.engine.up(
            place.request(programs.waits(str(gate)), "slow", create=True), place.operation()
        )
    )
    quick = await place.up(programs.one, stack="quick", create=True)
    assert quick.failure is None
    assert not slow.done()
    gate.touch()
    assert (await slow).failure is None
    assert len({place.worker(operation).pid for operation in place.operations}) == 2


async def test_a_worker_serves_operation_after_operation(place: Place) -> None:
    """The import of pulumi is paid once."""
    for _ in range(3):
        await place.up(programs.nothing)
    assert len({place.worker(operation).pid for operation in place.operations}) == 1


def test_hundreds_of_dynamic_resources_fit_into_one_process() -> None:
    """Stock pulumi ends in a RecursionError after 319; and each is written the same way."""
    script = (
        "from alma.pulumi.automation import sdk_faults as ours\n"
        "ours.mend()\n"
        "from pulumi.dynamic import dynamic\n"
        "from tests.pulumi import programs\n"
        "provider = programs.ThingProvider()\n"
        "print(len({dynamic.serialize_provider(provider) for _ in range(400)}))\n"
    )
    answer = subprocess.run(
        python("-c", script), env=environment(), capture_output=True, text=True, check=True
    )
    assert answer.stdout == "1\n"


async def test_a_preview_touches_nothing(place: Place) -> None:
    """Neither of a stack that is there nor of one that is not."""
    request = place.request(programs.two)
    fresh = await place.engine.preview(request, place.operation())
    assert _operations(fresh) == {"a": "create", "b": "create"}
    assert not (place.root / ".alma").exists()
    assert not (await place.engine.inspect(place.ref())).exists

    await place.up(programs.one)
    state = (await place.engine.inspect(place.ref())).fingerprint
    changed = await place.engine.preview(request, place.operation())
    assert _operations(changed) == {"b": "create"}
    assert (await place.engine.inspect(place.ref())).fingerprint == state


async def test_a_worker_is_replaced_after_its_share(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process gathers stays small."""
    monkeypatch.setattr(workers, "RECYCLE_AFTER", 2)
    for _ in range(4):
        await place.up(programs.nothing)
    served = [place.worker(operation).pid for operation in place.operations]
    assert served[0] == served[1] != served[2] == served[3]


async def test_no_more_workers_than_parallelism(place: Place) -> None:
    """The third of three operations waits for one of the others."""
    gate = place.root / "gate"
    program = programs.waits(str(gate))
    running = [
        asyncio.create_task(
            place.engine.up(place.request(program, f"s{n}", create=True), place.operation())
        )
        for n in range(3)
    ]
    await until(lambda: len([p for ps in place.processes.values() for p in ps]) >= 6)
    assert len(place.processes) == 2
    gate.touch()
    for task in running:
        assert (await task).failure is None
    assert len({place.worker(operation).pid for operation in place.operations}) == 2


@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
async def test_a_compressed_state_is_read(
    place: Place, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    """By alma, or by the CLI where Python has nothing for it."""
    monkeypatch.setenv(f"PULUMI_DIY_BACKEND_{compression}", "1")
    result = await place.up(programs.one)
    assert result.outputs == {"id": "id-a"}
    assert [r.id for r in (await place.engine.inspect(place.ref())).resources][-1] == "id-a"
    assert any("export" in line for line in place.commands()) == (compression == "ZSTD")


async def test_a_number_that_is_none_comes_back_as_it_was(place: Place) -> None:
    """Pulumi keeps it in a form of its own; whether it is acceptable is for others to say."""
    result = await place.up(programs.infinite)
    assert result.outputs == {"x": float("inf")}


async def test_a_large_output_is_not_in_the_log(place: Place) -> None:
    """It is in the state; the log stays small."""
    result = await place.up(programs.large)
    assert len(result.outputs["x"]) == 1 << 20
    assert sum(path.stat().st_size for path in (place.root / "logs").rglob("*.log")) < 10_000


async def test_a_worker_that_died_idle_is_replaced_in_silence(place: Place) -> None:
    """Nobody's operation fails for it."""
    await place.up(programs.nothing)
    idle = place.worker(place.operations[-1])
    (client,) = place.engine._workers._idle
    psutil.Process(idle.pid).kill()
    await until(lambda: client.wait() is not None)
    assert (await place.up(programs.nothing)).failure is None
