"""Sagas as everybody writes them, in the shape of the providers' own pages: they are sent as is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from alma.pulumi.programs import serialize_program
from alma.saga.target import load_saga
from tests.pulumi.conftest import environment, python

HERE = Path(__file__).parent

REGISTERS = """
import json, sys
from pathlib import Path
import pulumi
from pulumi.runtime import mocks
from alma.pulumi.automation.program import load

class Anything(pulumi.runtime.Mocks):
    def new_resource(self, args):
        made.append(args.typ)
        return f"{args.name}-id", {"metadata": {"name": args.name}, **args.inputs}
    def call(self, args):
        return {}

found = {}
for path in sys.argv[1:]:
    made = []
    pulumi.runtime.set_mocks(Anything(), project="registry", stack="dev")
    pulumi.runtime.test(load(Path(path).read_bytes()))()
    found[Path(path).name] = sorted(made)
print(json.dumps(found))
"""

WANTED = {
    "aws": {
        "site": ["aws:s3/bucket:Bucket", "aws:s3/bucketObjectv2:BucketObjectv2"],
        "orders": ["aws:sqs/queue:Queue", "aws:sqs/queue:Queue"],
        "news": [
            "aws:sns/topic:Topic",
            "aws:sns/topicSubscription:TopicSubscription",
            "aws:sqs/queue:Queue",
        ],
    },
    "docker": {
        "pulled": ["docker:index/remoteImage:RemoteImage"],
        "running": ["docker:index/container:Container", "docker:index/remoteImage:RemoteImage"],
        "connected": [
            "docker:index/container:Container",
            "docker:index/network:Network",
            "docker:index/remoteImage:RemoteImage",
        ],
    },
    "kubernetes": {
        "space": ["kubernetes:core/v1:Namespace"],
        "app": ["kubernetes:apps/v1:Deployment"],
        "front": ["kubernetes:apps/v1:Deployment", "kubernetes:core/v1:Service"],
    },
}


@pytest.mark.parametrize("provider", WANTED)
def test_its_programs_reach_another_process_and_register_there(
    provider: str, tmp_path: Path
) -> None:
    """By value, as a saga's file is not to be imported there; the SDK by its name."""
    loaded = load_saga(str(HERE / f"on_{provider}.py"))
    sent = []
    for step in loaded.saga.steps:
        path = tmp_path / step.name
        path.write_bytes(serialize_program(step.program, step=step.name, by_value=loaded.modules))
        sent.append(str(path))
    told = subprocess.run(
        python("-W", "ignore", "-c", REGISTERS, *sent),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    made = json.loads(told.stdout)
    types = {
        name: [one for one in all_of if one != "pulumi:pulumi:Stack"]
        for name, all_of in made.items()
    }
    assert types == WANTED[provider]
