"""Whose a Terraform state is: who holds its lock, and what in it is not this run's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from alma import DefinitionError, Saga, SagaFailed, destroy
from alma.core.events import DELETING, UNANSWERED, UPDATING
from alma.errors import RefusedError, ToolError
from alma.runner.preview import preview
from alma.steps.terraform.output import read as read_output
from tests.services.localstack import LocalStack
from tests.steps.conftest import Place
from tests.steps.modules import S3_BACKEND, SAGA, broken, cut_off, module, saga_of
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("terraform_cli")

# -- locks ------------------------------------------------------------------------------------


@pytest.fixture
def bucket(localstack: LocalStack, place: Place) -> tuple[Any, str]:
    """A module whose state is in a bucket, with its locks; the client and the bucket."""
    client, name = localstack.client("s3"), f"state-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    backend = S3_BACKEND.format(
        bucket=name, key="shop", region=localstack.region, url=localstack.url
    )
    module(place.root / "module", backend=backend)
    return client, name


async def test_a_lock_that_may_be_held_is_named(place: Place, bucket: tuple[Any, str]) -> None:
    """Somebody on another host may be at work: nothing is done, and the lock stays."""
    client, name = bucket
    lock = {
        "ID": "5c1e6c1e-0f0c-4d4e-8d57-5e4d7a1b2c3d",
        "Operation": "OperationTypeApply",
        "Who": "somebody@elsewhere",
        "Version": "1.11.4",
        "Created": "2026-01-31T14:25:01.5Z",
        "Path": f"{name}/shop",
    }
    client.put_object(Bucket=name, Key="shop.tflock", Body=json.dumps(lock).encode())
    foreseen = (await preview(saga_of(place, "a"))).steps[0].foreseen
    assert "after `terraform init`" in foreseen.what
    assert not (place.root / "module" / ".terraform").exists()
    with pytest.raises(SagaFailed) as failed:
        await saga_of(place, "a").execute()
    result = failed.value.result
    assert result.error is not None
    assert result.error.kind == "locked"
    assert "somebody@elsewhere" in result.error.message
    assert result.state.name == "COMPENSATED"  # nothing was made, and the state says so
    kept = client.get_object(Bucket=name, Key="shop.tflock")["Body"].read()
    assert json.loads(kept) == lock


def test_the_lock_of_a_dead_terraform_is_broken(place: Place, bucket: tuple[Any, str]) -> None:
    """Runner and Terraform are killed: what they made is named; the next run gets past the lock."""
    client, name = bucket
    (place.root / "saga.py").write_text(SAGA)
    cut_off(place, names="a")
    assert client.list_objects_v2(Bucket=name, Prefix="shop.tflock")["KeyCount"] == 1
    code, said = place.alma("rollback", "latest")
    assert code == 10, said
    # A remote state is written at the end: what was made, and noted nowhere, is named as well.
    assert place.things() == ["a"]
    lost = [entry["urn"] for entry in place.document("status")["leftovers"]]
    assert lost == ["terraform_data.gate[0]", 'terraform_data.thing["a"]']
    # Any Terraform of this host that is older might hold it: others may be at work just now.
    until(lambda: place.alma("up", "saga.py", NAMES="b")[0] == 0)
    events = place.document("history", "latest")
    [done, _] = [event for event in events if event["type"] == "OperationSucceeded"]
    assert done["evidence"]["locks_broken"]
    assert client.list_objects_v2(Bucket=name, Prefix="shop.tflock")["KeyCount"] == 0


def test_workspaces_in_a_bucket_are_kept_apart(place: Place, bucket: tuple[Any, str]) -> None:
    """Each is made, looked at, undone without its file and unlocked as the one that it is."""
    client, _ = bucket
    text = SAGA.replace('here / "module",', 'here / "module",\n    workspace=os.environ["SPACE"],')
    text = text.replace('stack="dev"', 'stack=os.environ["SPACE"]')
    saga = place.root / "saga.py"
    saga.write_text(text)
    code, said = place.alma("up", "saga.py", SPACE="blue", NAMES="a")
    assert code == 0, said
    code, said = place.alma("up", "saga.py", SPACE="green", NAMES="b", FAIL="1")
    assert (code, place.things()) == (4, ["a"]), said
    gate = str(place.root / "gate")
    runner = place.start("up", "saga.py", SPACE="green", NAMES="b", GATE=gate)
    until(Path(f"{gate}.begun").exists)
    place.kill(runner)
    Path(gate).touch()
    saga.unlink()
    code, said = place.alma("rollback", "latest")
    assert (code, place.things()) == (4, ["a"]), said
    saga.write_text(text)
    foreseen = place.document("preview", "saga.py", SPACE="blue")["steps"][0]
    assert foreseen["what"].startswith("apply to 1 resources in")
    code, said = place.alma("destroy", "saga.py", SPACE="blue")
    assert (code, place.things()) == (0, []), said
    locks = [one["Key"] for one in client.list_objects_v2(Bucket=bucket[1])["Contents"]]
    assert not [key for key in locks if key.endswith(".tflock")]


# -- what is not this run's -------------------------------------------------------------------


def environment_of(place: Place, stack: str, **options: Any) -> Saga:
    """The same module in another environment, with something else in it."""
    saga = Saga("shop", stack=stack)
    variables = {"world": str(place.world), "names": [stack], "password": "no secret"}
    saga.add_terraform("database", place.root / "module", variables=variables, **options)
    return saga


async def test_another_environment_does_not_take_the_state(place: Place) -> None:
    """Refused before anything, also to take it down, until they are kept apart."""
    module(place.root / "module")
    await environment_of(place, "dev").execute()
    refused = pytest.raises(RefusedError, match=r"is that of shop/dev \(run .*would replace")
    with refused:
        await environment_of(place, "prod").execute()
    with refused:
        await destroy(environment_of(place, "prod"))
    assert place.things() == ["dev"]

    await environment_of(place, "prod", workspace="prod").execute()
    assert place.things() == ["dev", "prod"]
    await environment_of(place, "dev").execute()
    broken_prod = environment_of(place, "prod", workspace="prod")
    broken_prod.add_step(action=broken, compensation="none")
    with pytest.raises(SagaFailed) as failed:
        await broken_prod.execute()
    assert failed.value.result.state.name == "COMPENSATED"
    await destroy(environment_of(place, "prod", workspace="prod"))
    assert place.things() == ["dev"]

    await destroy(environment_of(place, "dev"))  # the state is free now
    await environment_of(place, "prod").execute()
    with pytest.raises(RefusedError, match="is that of shop/prod"):
        await environment_of(place, "dev").execute()


def test_a_workspace_is_kept_for_the_undo(place: Place) -> None:
    """From the journal alone, whatever workspace the directory has selected by then."""
    module(place.root / "module")
    text = SAGA.replace('here / "module",', 'here / "module",\n    workspace="blue",')
    saga = place.root / "saga.py"
    saga.write_text(text.replace('stack="dev"', 'on_failure="stop"'))
    assert place.alma("up", "saga.py", FAIL="1")[0] == 10
    saga.unlink()
    assert place.things() == ["a", "b"]
    code, said = place.alma("rollback", "latest")
    assert code == 4, said
    assert place.things() == []
    with pytest.raises(DefinitionError, match="cannot be the name of a workspace"):
        environment_of(place, "dev", workspace="../x")


IMPORTING = """
import {{
  to = terraform_data.there
  id = "{there}"
}}
resource "terraform_data" "there" {{}}
"""


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_module_imports_is_not_destroyed(place: Place, killed: bool) -> None:
    """It was there before: out of the state, and named; the rest is destroyed."""
    module(place.root / "module", backend=IMPORTING.format(there="there-before"))
    if killed:
        (place.root / "saga.py").write_text(SAGA)
        gate = str(place.root / "gate")
        runner = place.start("up", "saga.py", GATE=gate)
        until(Path(f"{gate}.begun").exists)
        place.kill(runner)
        Path(gate).touch()
        code, said = place.alma("rollback", "latest")
    else:
        (place.root / "saga.py").write_text(SAGA)
        code, said = place.alma("up", "saga.py", FAIL="1")
    assert code == 10, said
    [left] = place.document("status")["leftovers"]
    assert (left["urn"], left["id"]) == ("terraform_data.there", "there-before")
    assert "was there before this run (the module imports it)" in left["reason"]
    assert place.things() == []
    state = json.loads((place.root / "module" / "terraform.tfstate").read_text())
    assert state["resources"] == []
    [risk] = place.document("preview", "saga.py")["steps"][0]["at_risk"]
    assert (risk["urn"], risk["id"]) == ("terraform_data.there", "there-before")
    assert "the module imports it" in risk["reason"]


async def test_without_a_way_to_give_it_variables_nothing_is_begun(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alma.steps.terraform.cli.STDIN", str(place.root / "none"))
    module(place.root / "module")
    with pytest.raises(ToolError, match="cannot be given its variables"):
        await environment_of(place, "dev").execute()
    assert not (place.root / ".alma" / "journal.db").exists()


def test_an_answer_that_was_lost_is_no_refusal() -> None:
    """A create may exist, an update may have been done; what the state knows is destroyed."""

    def failed(address: str, action: str, words: str) -> list[Any]:
        hook = {"resource": {"addr": address}, "action": action}
        detail = {"severity": "error", "summary": "it failed", "detail": words, "address": address}
        return [
            {"type": "apply_start", "hook": hook},
            {"type": "apply_errored", "hook": hook},
            {"type": "diagnostic", "diagnostic": detail},
        ]

    lost = "unexpected status 504 Gateway Timeout"
    lines = [
        *failed("a.made", "create", lost),
        *failed("a.tainted", "create", lost),
        *failed("a.changed", "update", "read tcp 10.0.0.1:1: connection reset by peer"),
        *failed("a.gone", "delete", lost),
        *failed("a.refused", "create", "quota exceeded"),
    ]
    account = read_output("\n".join(map(json.dumps, lines)))
    found = {(one.urn, one.op) for one in account.unanswered({"a.tainted"})}
    assert found == {("a.made", UNANSWERED), ("a.changed", UPDATING), ("a.gone", DELETING)}
