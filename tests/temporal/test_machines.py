"""Workers on machines that share nothing but Temporal, a database and a bucket."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from alma.core.events import HostDeclaredGone, OperationReconciled
from alma.core.run import SagaState
from tests.examples.conftest import EXAMPLES
from tests.examples.containers import Machine, Machines, machines
from tests.examples.test_ci import ALMA, Cloud
from tests.services.localstack import LocalStack
from tests.services.temporal import Temporal
from tests.temporal.replaying import keep
from tests.temporal.stage import HEARTBEAT, Stage
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("provider_plugins")
WORKER = "alma-pulumi worker saga.py"
# A note, and a release that is made only where the object `go` is: who waits for it and is cut off
# has made nothing. Each is an object of the bucket that all machines share.
TWO_PARTS = """
import os, time, uuid
import boto3, pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from alma import Saga

SHARED = os.environ["SHARED"]

def note(c): boto3.client("s3").put_object(Bucket=SHARED, Key="note")
def undo_note(c): boto3.client("s3").delete_object(Bucket=SHARED, Key="note")

class Release(ResourceProvider):
    def create(self, props):
        import boto3
        client = boto3.client("s3")
        while True:
            found = client.list_objects_v2(Bucket=props["bucket"]).get("Contents", ())
            keys = {one["Key"] for one in found}
            if "fail" in keys:
                raise RuntimeError("it is not healthy")
            if "go" in keys:
                break
            time.sleep(0.2)
        made = f"made/{uuid.uuid4()}"
        client.put_object(Bucket=props["bucket"], Key=made)
        return CreateResult(id_=made, outs=props)

    def delete(self, id, props):
        import boto3
        boto3.client("s3").delete_object(Bucket=props["bucket"], Key=id)

class Released(Resource):
    def __init__(self, name): super().__init__(Release(), name, {"bucket": SHARED})

def release(): Released("release")

saga = Saga("shop", stack="prod")
saga.add_step("note", note, undo_note)
saga.add_stack("release", program=release, queue="releases", resolver=lambda _: None)
"""


@pytest.fixture
def cloud(localstack: LocalStack, database: str) -> Iterator[Cloud]:
    found = Cloud(localstack, database)
    before = set(found.releases())
    yield found
    for bucket in set(found.releases()) - before:
        for one in found.s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            found.s3.delete_object(Bucket=bucket, Key=one["Key"])
        found.s3.delete_bucket(Bucket=bucket)


@pytest.fixture
def hosts(cloud: Cloud, temporal: Temporal, tmp_path: Path) -> Iterator[Machines]:
    """Machines with alma, the Pulumi CLI, and the saga of `examples/ci`."""
    checkout, tools = tmp_path / "checkout", tmp_path / "tools"
    checkout.mkdir()
    tools.mkdir()
    (checkout / "saga.py").write_bytes((EXAMPLES / "ci" / "saga.py").read_bytes())
    (tools / "alma-pulumi").write_text(ALMA)
    (tools / "alma-pulumi").chmod(0o755)
    assert sys.executable
    environment = {
        **cloud.environment,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLES.parent),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "ALMA_TEMPORAL": temporal.address,
        "ALMA_TEMPORAL_HEARTBEAT": str(HEARTBEAT),
        "ALMA_HOST_IS_EPHEMERAL": "1",
    }
    with machines(tmp_path, checkout, environment) as found:
        yield found


def test_a_machine_that_is_gone_in_a_create_leaves_nothing_twice(
    hosts: Machines,
    cloud: Cloud,
    temporal: Temporal,
    tmp_path: Path,
) -> None:
    before = set(cloud.releases())
    first = hosts.run("w-1", WORKER)
    up = hosts.run("laptop", "alma-pulumi up --yes saga.py")
    until(cloud.waits, lambda: f"the release waits {first.said}{up.said}")
    second = hosts.run("w-2", WORKER)
    until(lambda: "serves" in second.said, "the second worker")
    first.destroy()
    assert cloud.keys("locks"), "the lock of a CLI that is gone with its machine"
    (bucket,) = set(cloud.releases()) - before
    cloud.s3.put_object(Bucket=bucket, Key="healthy")
    assert up.ended() == 0, up.said + second.said
    assert set(cloud.releases()) - before == {bucket}
    seen = Stage(tmp_path, temporal, cloud.environment["ALMA_JOURNAL"], "shop", "prod")
    assert seen.run.state is SagaState.COMPLETED
    (settled,) = [one for one in seen.events if isinstance(one, OperationReconciled)]
    assert settled.step == "release"
    assert "broke the lock" in settled.found
    assert not any(isinstance(one, HostDeclaredGone) for one in seen.events)
    hosted = [one.by.machine for one in seen.intents("release") if one.by]
    assert hosted[0] == "w-1"
    assert set(hosted[1:]) == {"w-2"}
    keep("elsewhere", seen.histories()[0])


@dataclass
class Shared:
    """The bucket that all machines share; and commands on machines of their own."""

    cloud: Cloud
    hosts: Machines
    bucket: str

    def put(self, key: str) -> None:
        self.cloud.s3.put_object(Bucket=self.bucket, Key=key)

    def take(self, key: str) -> None:
        self.cloud.s3.delete_object(Bucket=self.bucket, Key=key)

    @property
    def there(self) -> list[str]:
        found = self.cloud.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return sorted(one["Key"].partition("/")[0] for one in found)

    @property
    def stacks(self) -> list[str]:
        return [key for key in self.cloud.keys("stacks") if key.endswith(".json")]

    def run(self, name: str, command: str, **more: str) -> Machine:
        return self.hosts.run(name, f"alma-pulumi {command}", SHARED=self.bucket, **more)

    def worker(self, name: str, command: str) -> Machine:
        """One that lasts: nothing is assumed of its host. It is ready."""
        found = self.run(name, f"worker saga.py {command}", ALMA_HOST_IS_EPHEMERAL="")
        until(lambda: "serves" in found.said, lambda: f"{name}: {found.said}")
        return found


@pytest.fixture
def shared(cloud: Cloud, hosts: Machines) -> Shared:
    (hosts.checkout / "saga.py").write_text(TWO_PARTS)
    found = Shared(cloud, hosts, f"shared-{cloud.state}")
    cloud.s3.create_bucket(Bucket=found.bucket)
    return found


def test_two_machines_fail_roll_back_and_go_on_without_one_of_them(
    shared: Shared, cloud: Cloud, temporal: Temporal, tmp_path: Path
) -> None:
    """One does what any worker can, and only the other one the release: until it is gone."""
    seen = Stage(tmp_path, temporal, cloud.environment["ALMA_JOURNAL"], "shop", "prod")

    def doers(step: str) -> list[str]:
        return [one.by.machine for one in seen.intents(step) if one.by]

    first, second = shared.worker("w-1", ""), shared.worker("w-2", "--queue releases")

    shared.put("fail")
    failing = shared.run("laptop-1", "up --yes saga.py")
    assert failing.ended() == 4, failing.said + first.said + second.said
    assert "it is not healthy" in failing.said
    assert seen.run.state is SagaState.COMPENSATED
    assert (set(doers("note")), set(doers("release"))) == ({"w-1"}, {"w-2"})
    assert (shared.there, shared.stacks) == (["fail"], [])
    shared.take("fail")

    cut = shared.run("laptop-2", "up --yes saga.py")
    until(cloud.waits, lambda: f"the release waits {cut.said}{second.said}")
    temporal.cli("workflow", "terminate", "-w", seen.workflow)
    assert cut.ended() == 8, cut.said
    back = shared.run("laptop-3", "rollback latest --yes")
    until(lambda: seen.run.direction == "back", lambda: f"it is taken up {back.said}")
    shared.put("go")
    assert back.ended() == 4, back.said + first.said + second.said
    assert seen.run.state is SagaState.COMPENSATED
    assert (shared.there, shared.stacks) == (["go"], [])
    shared.take("go")

    waits = shared.run("laptop-4", "up --yes saga.py", ALMA_TEMPORAL_HEARTBEAT="1")
    until(cloud.waits, lambda: f"the release waits {waits.said}{second.said}")
    second.destroy()
    third = shared.worker("w-3", "--queue releases")
    assert waits.ended() == 8, waits.said + first.said + third.said
    assert "can only be seen on w-2, where no worker has come" in waits.said
    assert "If w-2 is gone for good, with `--host-is-gone" in waits.said
    keep("suspended", seen.histories()[0])
    shared.put("go")
    word = "the rack has burned down"
    done = shared.run("laptop-5", f"resume latest --host-is-gone --reason '{word}'")
    assert done.ended() == 0, done.said + first.said + third.said
    assert seen.run.state is SagaState.COMPLETED
    assert shared.there == ["go", "made", "note"]
    (said,) = [one for one in seen.events if isinstance(one, HostDeclaredGone)]
    assert (said.host.partition("#")[0], said.reason) == ("w-2", word)
    assert (doers("note"), doers("release")[0]) == (["w-1"], "w-2")
    assert set(doers("release")[1:]) == {"w-3"}
    exported = seen.exported()
    assert seen.run.run in exported
    assert word not in exported
