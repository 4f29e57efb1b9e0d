"""Workers on machines that share nothing but Temporal, a database and a bucket."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alma.core.events import HostDeclaredGone, OperationReconciled
from alma.core.run import SagaState
from tests.examples.conftest import EXAMPLES
from tests.examples.containers import Machines, machines, until
from tests.examples.test_ci import ALMA, Cloud
from tests.services.localstack import LocalStack
from tests.services.temporal import Temporal
from tests.temporal.stage import HEARTBEAT, Stage

pytestmark = pytest.mark.usefixtures("provider_plugins")
WORKER = "alma-pulumi worker saga.py"


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
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    before = set(cloud.releases())
    first = hosts.run("w-1", WORKER)
    up = hosts.run("laptop", "alma-pulumi up --yes saga.py")
    until(cloud.waits, f"the release waits {first.said}{up.said}")
    second = hosts.run("w-2", WORKER)
    until(lambda: "serves" in second.said, "the second worker")
    first.destroy()
    assert cloud.keys("locks"), "the lock of a CLI that is gone with its machine"
    (bucket,) = set(cloud.releases()) - before
    cloud.s3.put_object(Bucket=bucket, Key="healthy")
    assert up.ended() == 0, up.said + second.said
    assert set(cloud.releases()) - before == {bucket}
    monkeypatch.setenv("ALMA_JOURNAL_KEY", cloud.environment["ALMA_JOURNAL_KEY"])
    seen = Stage(tmp_path, temporal, cloud.environment["ALMA_JOURNAL"])
    assert seen.run.state is SagaState.COMPLETED
    (settled,) = [one for one in seen.events if isinstance(one, OperationReconciled)]
    assert settled.step == "release"
    assert "broke the lock" in settled.found
    assert not any(isinstance(one, HostDeclaredGone) for one in seen.events)
    hosted = [one.by.machine for one in seen.intents("release") if one.by]
    assert hosted[0] == "w-1"
    assert set(hosted[1:]) == {"w-2"}
