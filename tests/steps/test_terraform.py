"""Steps by Terraform, with the real CLI and modules that make files."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from alma import Context, Saga, SagaFailed, Secret, destroy, rollback
from tests.runner.helpers import ended
from tests.steps.conftest import CANARY, Place
from tests.steps.modules import SAGA, broken, cut_off, module, saga_of
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("terraform_cli")

WRAPPER = """#!/bin/sh
# Notes what everybody can see of each process, then is that process.
{{ echo "$*"; env; }} >> "{log}"
exec "{program}" "$@"
"""


async def test_applied_used_by_others_and_destroyed(
    place: Place, terraform_cli: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs flow, a sensitive one as a secret; nothing that is secret is left anywhere."""
    monkeypatch.setenv("TF_LOG", "trace")
    monkeypatch.setenv("TF_LOG_PATH", str(place.root / "trace"))
    seen = place.root / "seen"
    wrapper = place.root / "bin" / "terraform"
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER.format(log=seen, program=terraform_cli))
    wrapper.chmod(0o755)
    module(place.root / "module")
    saga = saga_of(place, "a", "b", program=str(wrapper))
    database = saga.steps[0]
    told: list[Any] = []

    def use(context: Context) -> None:
        told.append(context.inputs["token"])

    inputs = {"token": database.output("token"), "files": database.output("files")}
    saga.add_step(action=use, compensation="none", inputs=inputs)
    result = await saga.execute()
    assert place.things() == ["a", "b"]
    assert result.outputs["database"]["files"] == [str(place.world / name) for name in "ab"]
    assert isinstance(told[0], Secret)
    assert told[0].value == "token-of-a-b"
    assert result.status.steps["database"].changes == {"create": 2}
    assert place.holding(CANARY) == []
    assert place.holding("token-of-a-b", but=("terraform.tfstate",)) == []
    assert "apply -auto-approve" in seen.read_text()
    kept = [path.name for path in (place.root / "module").iterdir()]
    assert sorted(kept) == ["main.tf", "terraform.tfstate"]

    await saga.execute()  # nothing is made twice
    assert (place.world / "a").read_text().count("made") == 1
    ended = await destroy(saga)
    assert ended.status.steps["database"].how == "destroyed"
    assert place.things() == []
    assert place.holding(CANARY) == []


async def test_what_fails_half_way_is_destroyed(place: Place) -> None:
    """A resource that is half made is in the state, tainted; the state is empty at the end."""
    module(place.root / "module")
    with pytest.raises(SagaFailed) as failed:
        await saga_of(place, "a", "broken").execute()
    result = failed.value.result
    assert result.state.name == "COMPENSATED"
    assert result.error is not None
    assert "no room for it" in result.error.message
    assert result.error.urn == 'terraform_data.thing["broken"]'
    assert place.things() == []
    assert "no room for it" in (Path(result.error.log) / "terraform.log").read_text()
    assert place.holding(CANARY) == []


async def test_a_state_that_held_resources_is_never_destroyed(place: Place) -> None:
    """Unchanged, there is nothing to undo; changed, each change is named and left."""
    module(place.root / "module")
    await saga_of(place, "a").execute()
    saga = saga_of(place, "a")
    saga.add_step(action=broken, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    assert failed.value.result.state.name == "COMPENSATED"
    assert failed.value.result.status.steps["database"].how == "unchanged"

    saga = saga_of(place, "a", "b")
    saga.add_step(action=broken, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.state.name == "FAILED"
    assert [left.urn for left in result.leftovers] == ['terraform_data.thing["b"]']
    assert "held 1 resources before this run" in result.leftovers[0].reason
    assert place.things() == ["a", "b"]


async def test_what_a_destroy_leaves_in_the_state_is_a_leftover(place: Place) -> None:
    """Named by address and id; once it can go, a rollback takes it away."""
    module(place.root / "module")
    stuck = place.world / "a.stuck"
    saga = saga_of(place, "a", "b")

    def fail() -> None:
        stuck.touch()
        raise RuntimeError("asked to")

    saga.add_step(action=fail, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.state.name == "FAILED"
    [left] = result.leftovers
    assert left.urn == 'terraform_data.thing["a"]'
    assert left.id
    assert "local-exec provisioner error" in left.reason
    assert place.things() == ["a", "a.stuck"]
    stuck.unlink()
    with pytest.raises(SagaFailed) as failed:
        await rollback(saga=saga)
    assert failed.value.result.state.name == "COMPENSATED"
    assert place.things() == []


async def test_retained_or_drained_first(place: Place) -> None:
    """A callable is called while the resources are there; what is retained is named."""
    seen: list[list[str]] = []

    def drain(context: Context) -> None:
        seen.append([*context.result["files"], *place.things()])

    saga = Saga("shop", stack="dev")
    for name, how in (("kept", "retain"), ("drained", drain)):
        variables = {"world": str(place.world), "names": [name], "password": "no secret"}
        work_dir = module(place.root / name)
        saga.add_terraform(name, work_dir, variables=variables, compensation=how)
    saga.add_step(action=broken, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.state.name == "FAILED"
    assert [(left.step, left.urn) for left in result.leftovers] == [
        ("kept", 'terraform_data.thing["kept"]')
    ]
    assert seen == [[str(place.world / "drained"), "drained", "kept"]]
    assert place.things() == ["kept"]


async def test_a_state_that_is_gone_proves_nothing(place: Place) -> None:
    """Somebody took the state away: what the run made is named."""
    module(place.root / "module")
    saga = saga_of(place, "a")

    def lose() -> None:
        (place.root / "module" / "terraform.tfstate").unlink()
        raise RuntimeError("asked to")

    saga.add_step(action=lose, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    assert failed.value.result.state.name == "FAILED"
    assert failed.value.result.leftovers[0].urn == 'terraform_data.thing["a"]'
    assert "gone" in failed.value.result.leftovers[0].reason


async def test_at_the_deadline_it_is_interrupted_and_undone(place: Place) -> None:
    """Terraform stops what it does at SIGINT and notes it."""
    module(place.root / "module")
    saga = saga_of(place, "a", inputs={"gate": str(place.root / "never")}, timeout=4)
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.error is not None
    assert (result.error.kind, result.state.name) == ("timeout", "COMPENSATED")
    assert place.things() == []


def test_one_signal_to_the_runner_stops_terraform_and_undoes(place: Place) -> None:
    """Terraform gets one SIGINT, however many processes the group has."""
    module(place.root / "module")
    (place.root / "saga.py").write_text(SAGA)
    runner = place.start("up", "saga.py", GATE=str(place.root / "gate"))
    until((place.root / "gate.begun").exists)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(timeout=300) == 4
    events = place.document("history", "latest")
    signals = [event for event in events if event["type"] == "SignalSent"]
    assert [(event["signal"], event["why"]) for event in signals] == [("SIGINT", "interrupt")]
    assert place.things() == []


def test_terraform_outlives_its_runner_and_the_run_goes_on(place: Place) -> None:
    """What it made meanwhile is not made again; its raw output is gone after the resume."""
    module(place.root / "module")
    (place.root / "saga.py").write_text(SAGA)
    gate = place.root / "gate"
    runner = place.start("up", "saga.py", GATE=str(gate))
    until((place.root / "gate.begun").exists)
    place.kill(runner)
    gate.touch()
    code, said = place.alma("resume", "latest", GATE=str(gate))
    assert code == 0, said
    assert (place.world / "a").read_text().count("made") == 1
    assert place.holding(CANARY, but=("saga.py",)) == []


def test_a_create_that_was_cut_off_is_never_called_clean(place: Place) -> None:
    """Runner and Terraform are killed: the state knows nothing of what was being made."""
    module(place.root / "module")
    (place.root / "saga.py").write_text(SAGA)
    gate = cut_off(place, names="a")
    code, said = place.alma("resume", "latest", GATE=gate, NAMES="a")
    assert code == 10, said
    left = place.document("status")["leftovers"]
    assert left[0]["urn"] == "terraform_data.gate[0]"
    assert all("may exist" in entry["reason"] for entry in left)
    # Terraform notes what is made at once, OpenTofu now and then: what is left is named, then.
    named = ['terraform_data.thing["a"]'] if place.things() else []
    assert [entry["urn"] for entry in left[1:]] == named
    assert place.holding(CANARY, but=("saga.py",)) == []


def test_a_rollback_without_the_saga(place: Place) -> None:
    """From the journal: the variables are in it, a secret one under the journal's key."""
    module(place.root / "module")
    text = SAGA.replace('Saga("shop", stack="dev")', 'Saga("shop", on_failure="stop")')
    saga = place.root / "saga.py"
    saga.write_text(text)
    assert place.alma("up", "saga.py", FAIL="1")[0] == 10
    saga.rename(place.root / "moved.py")
    key = place.root / ".alma" / "journal.db.key"
    moved = key.rename(place.root / "moved.key")
    code, said = place.alma("rollback", "latest")
    assert (code, "ALMA_JOURNAL_KEY" in said) == (3, True), said
    assert place.things() == ["a", "b"]
    moved.rename(key)
    code, said = place.alma("rollback", "latest")
    assert code == 4, said
    assert place.things() == []


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("no cli", "Terraform was not found"),
        ("no module", "there is no directory"),
        ("no configuration", "has no Terraform configuration"),
        ("no variable", 'declares no variable "gate"'),
        ("two steps", "are the same state"),
    ],
)
def test_what_cannot_run_is_refused_before_anything(place: Place, change: str, said: str) -> None:
    """One sentence and exit code 2; nothing is journaled."""
    module(place.root / "module")
    text, environ = SAGA, {}
    main = place.root / "module" / "main.tf"
    if change == "no cli":
        environ = {"PATH": str(place.root), "ALMA_TERRAFORM": ""}
    elif change == "no module":
        text = SAGA.replace('here / "module"', 'here / "elsewhere"')
    elif change == "no configuration":
        main.unlink()
    elif change == "no variable":
        main.write_text("# nothing\n")
    else:
        text += 'saga.add_terraform("again", here / "module")\n'
    (place.root / "saga.py").write_text(text)
    code, words = place.alma("up", "saga.py", **environ)
    assert code == 2, words
    assert said in words
    assert "Traceback" not in words
    assert not (place.root / ".alma" / "journal.db").exists()


def test_preview_tells_the_plan_and_writes_nothing(place: Place) -> None:
    """Counts by the CLI's own plan; undo by destroy, or none for what was there before."""
    module(place.root / "module")
    (place.root / "saga.py").write_text(SAGA)
    before = sorted(place.root.rglob("*"))
    [first, _] = place.document("preview")["steps"]
    assert first["kind"] == "terraform"
    assert first["changes"] == {"create": 2}
    assert (first["undo"], first["undoable"]) == ("destroy", True)
    assert [path for path in sorted(place.root.rglob("*")) if "__pycache__" not in str(path)] == [
        *before
    ]
    assert place.alma("up", "saga.py", NAMES="a")[0] == 0
    [first, _] = place.document("preview")["steps"]
    assert first["changes"] == {"create": 1}
    assert not first["undoable"]


@pytest.mark.parametrize(("value", "state"), [('"a"', "COMPLETED"), ("timestamp()", "COMPENSATED")])
async def test_no_drift_is_what_terraform_would_not_change(
    place: Place, value: str, state: str
) -> None:
    """A module that wants something else each time is not ready, and destroyed."""
    directory = place.root / "module"
    directory.mkdir()
    (directory / "main.tf").write_text(f'resource "terraform_data" "now" {{ input = {value} }}\n')
    saga = Saga("shop", stack="dev")
    saga.add_terraform("now", directory, ready="no-drift", ready_timeout=1)
    result = await ended(saga.execute())
    assert result.state.name == state
    if result.error is not None:
        assert "a preview plans update terraform_data.now" in result.error.message
