"""Steps by playbooks, with the real Ansible on this machine: played, undone or left."""

from __future__ import annotations

import time
from threading import Event, Thread
from typing import Any, Self

import psutil
import pytest

from alma import Context, Saga, SagaFailed, Secret, destroy
from tests.steps.conftest import CANARY, Place
from tests.steps.playbooks import playbooks


def saga_of(place: Place, undo: str | None = "undo.yml", **options: Any) -> Saga:
    """One playbook and its undo."""
    plays = place.root / "plays"
    playbooks(plays)
    saga = Saga("shop", stack="dev")
    values = {"world": str(place.world), "names": ["a", "b"], "password": Secret(CANARY)}
    saga.add_ansible(
        "balancer",
        plays / "site.yml",
        undo_playbook=None if undo is None else plays / undo,
        inventory="localhost,",
        variables=values,
        secret_outputs=["token"],
        **options,
    )
    return saga


class Arguments:
    """Looks, as long as it is open, at what everybody can see of each process."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._over = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            for process in psutil.process_iter():
                try:
                    self.seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.02)


async def test_played_used_by_others_and_taken_down(place: Place) -> None:
    """`set_stats` gives the outputs; nothing that is secret is left, or ever in an argument."""
    saga = saga_of(place)
    told: list[Any] = []

    def use(context: Context) -> None:
        told.append(context.inputs)

    balancer = saga.steps[0]
    inputs = {"token": balancer.output("token"), "files": balancer.output("files")}
    saga.add_step(action=use, compensation="none", inputs=inputs)
    with Arguments() as arguments:
        result = await saga.execute()
    assert place.things() == ["a", "b"]
    assert told[0]["files"] == ["a", "b"]
    assert told[0]["token"].value == "token-of-a-b"
    assert result.status.steps["balancer"].changes["changed"] == 1
    assert any("ansible-playbook" in line for line in arguments.seen)
    assert not any(CANARY in line for line in arguments.seen)
    assert place.holding(CANARY) == []
    [log] = (place.root / ".alma" / "logs").rglob("ansible.log")
    assert "the password is [secret]" in log.read_text()
    assert not list(log.parent.glob("private"))
    await destroy(saga)
    assert place.things() == []


async def test_a_playbook_that_fails_half_way_is_undone(place: Place) -> None:
    """Its failure is told by task, host and message."""
    saga = saga_of(place, inputs={"broken": True})
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.state.name == "COMPENSATED"
    assert result.error is not None
    assert result.error.message == 'task "have room for all" on localhost: no room for it'
    assert place.things() == []


async def test_without_a_good_undo_it_is_a_leftover(place: Place) -> None:
    """An undo with a failed host is none; nor is no undo at all."""
    saga = saga_of(place, inputs={"broken": True, "stuck": True})
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.state.name == "FAILED"
    assert 'undo.yml failed: task "be stuck" on localhost' in result.leftovers[0].reason

    saga = Saga("other", stack="dev")
    short = place.root / "plays" / "short.yml"
    short.write_text("- hosts: all\n  gather_facts: false\n  tasks: [{fail: {msg: asked to}}]\n")
    saga.add_ansible("balancer", short, inventory="localhost,")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    assert failed.value.result.leftovers[0].reason == "the step has no undo_playbook"
