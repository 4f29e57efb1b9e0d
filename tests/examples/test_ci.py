"""`examples/ci`: jobs on machines that share nothing but a bucket and a database.

What the jobs run is what the files say: their `run` and `script` lines, without the installation.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.examples.conftest import EXAMPLES
from tests.examples.containers import Machines, machines
from tests.services.localstack import LocalStack
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("provider_plugins")
CI = EXAMPLES / "ci"
REPOSITORY = EXAMPLES.parent
ALMA = f'#!/bin/sh\nexec "{sys.executable}" -m alma "$@"\n'


class Cloud:
    """What the machines share."""

    def __init__(self, localstack: LocalStack, journal: str) -> None:
        self.s3 = localstack.client("s3")
        self.state = f"state-{uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=self.state)
        self.backend = f"s3://{self.state}?endpoint={localstack.url}&s3ForcePathStyle=true"
        self.environment = {
            "ALMA_JOURNAL": journal,
            "ALMA_JOURNAL_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "PULUMI_BACKEND_URL": f"{self.backend}&region={localstack.region}",
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "AWS_ENDPOINT_URL": localstack.url,
            "AWS_REGION": localstack.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def keys(self, part: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.state, Prefix=f".pulumi/{part}/")
        return [one["Key"] for one in found.get("Contents", ())]

    def waits(self) -> bool:
        """Whether the release's create is under way."""
        for key in self.keys("stacks/shop-release"):
            if key.endswith("prod.json"):
                state = self.s3.get_object(Bucket=self.state, Key=key)["Body"].read()
                latest = json.loads(state)["checkpoint"].get("latest") or {}
                begun = latest.get("pending_operations") or ()
                return any("dynamic" in one["resource"]["type"] for one in begun)
        return False

    def releases(self) -> list[str]:
        """The buckets that the saga has made."""
        names = (bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"])
        return [name for name in names if name.startswith("releases-")]


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
def hosts(cloud: Cloud, tmp_path: Path) -> Iterator[Machines]:
    """Machines on which alma and the Pulumi CLI are installed, and the repository checked out."""
    checkout = tmp_path / "repository"
    (checkout / "examples" / "ci").mkdir(parents=True)
    for path in CI.iterdir():
        if path.is_file():
            (checkout / "examples" / "ci" / path.name).write_bytes(path.read_bytes())
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "alma-pulumi").write_text(ALMA)
    (tools / "alma-pulumi").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL")}
    environment = {
        **kept,
        **cloud.environment,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    }
    with machines(tmp_path, checkout, environment) as found:
        yield found


def github(job: str, file: str = "github.yml") -> str:
    """The lines that a job of the workflow runs, in their directory."""
    workflow = yaml.safe_load((CI / file).read_text())
    steps = [step["run"] for step in workflow["jobs"][job]["steps"] if "run" in step]
    installs, *lines = steps
    assert installs.startswith("pip install")
    directory = workflow["defaults"]["run"]["working-directory"]
    said = {name: value for name, value in workflow["env"].items() if "${{" not in str(value)}
    exports = [f"export {name}={value}" for name, value in said.items()]
    return "\n".join([*exports, f"cd {directory}", *lines])


def gitlab(name: str = "deploy") -> str:
    """The same of one of GitLab."""
    jobs = yaml.safe_load((CI / "gitlab.yml").read_text())
    job = jobs[name]
    base = jobs[job["extends"]]
    # GitLab merges what both have, key by key: with nothing in common it is plain what comes of it.
    assert not base.keys() & job.keys()
    exports = [f"export {name}={value}" for name, value in base["variables"].items()]
    return "\n".join([*exports, *job["script"]])


def status(hosts: Machines, name: str) -> dict[str, Any]:
    """How the newest run stands, asked for on a machine of its own."""
    machine = hosts.run(name, "alma-pulumi status --json > status.json; cat status.json")
    assert machine.ended() == 0, machine.said
    document: dict[str, Any] = json.loads(machine.said)
    return document


def test_the_next_job_of_a_workflow_undoes_what_a_cancelled_one_has_left(
    hosts: Machines, cloud: Cloud, tmp_path: Path
) -> None:
    first = hosts.run("ci-1", github("deploy"), GITHUB_ACTIONS="true")
    until(cloud.waits, "the release waits")
    first.cancel()
    assert cloud.releases()
    assert cloud.keys("locks"), "the lock of a CLI that was killed with its machine"
    page = tmp_path / "summary.md"
    second = hosts.run("ci-2", github("undo"), GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(page))
    assert second.ended() == 0, second.said
    assert "broke the lock of" in second.said or "COMPENSATED" in second.said
    assert "COMPENSATED" in page.read_text()
    assert (cloud.releases(), cloud.keys("locks")) == ([], [])
    third = hosts.run("ci-3", github("undo"), GITHUB_ACTIONS="true")
    assert (third.ended(), third.said) == (0, "")  # there is nothing left to undo


def test_the_next_job_goes_on_with_a_deployment_that_was_cut_off(
    hosts: Machines, cloud: Cloud
) -> None:
    first = hosts.run("gitlab-1", gitlab())
    until(cloud.waits, "the release waits")
    first.cancel()
    (bucket,) = cloud.releases()
    cloud.s3.put_object(Bucket=bucket, Key="healthy", Body=b"")
    second = hosts.run("gitlab-2", f"{gitlab()}\ncat report.md")
    assert second.ended() == 0, second.said
    assert "COMPLETED" in second.said
    assert cloud.releases() == [bucket]
    found = status(hosts, "laptop")
    assert (found["state"], found["ran_on"]["host"]) == ("COMPLETED", "gitlab-2")


def test_what_another_host_has_begun_needs_a_word_that_it_is_gone(
    hosts: Machines, cloud: Cloud
) -> None:
    """Of a host that says nothing of itself, and is gone with all its processes at once."""
    first = hosts.run("server-1", "cd examples/ci; alma-pulumi up")
    until(cloud.waits, "the release waits")
    first.destroy()
    seen = hosts.run("server-2", "alma-pulumi status; alma-pulumi resume latest")
    assert seen.ended() == 11, seen.said
    assert "Ran on   server-1, pid" in seen.said
    assert "last heard of" in seen.said
    assert 'was cut off on server-1: the up of step "release" was begun there' in seen.said
    assert "--host-is-gone --reason 'server-1 is gone'" in seen.said
    assert cloud.keys("locks")
    (bucket,) = cloud.releases()
    cloud.s3.put_object(Bucket=bucket, Key="healthy", Body=b"")
    going = "cd examples/ci; alma-pulumi resume latest --host-is-gone --reason 'it was sold'"
    third = hosts.run("server-3", f"{going}; alma-pulumi history latest")
    assert third.ended() == 0, third.said
    assert "server-1 is gone, says" in third.said
    assert "broke the lock of" in third.said
    fourth = hosts.run("server-4", "cd examples/ci; alma-pulumi destroy --yes --remove")
    assert fourth.ended() == 0, fourth.said
    assert (cloud.releases(), cloud.keys("locks")) == ([], [])


def test_the_jobs_of_each_night_tell_of_drift_and_take_down_what_has_expired(
    hosts: Machines, cloud: Cloud
) -> None:
    up = "cd examples/ci; alma-pulumi up saga.py storage --stack pull-7 --ttl"
    first = hosts.run("ci-1", f"{up} 1h")
    assert first.ended() == 0, first.said
    quiet = hosts.run("ci-2", github("reap", "github-nightly.yml"))
    assert quiet.ended() == 0, quiet.said
    assert "Nothing has expired" in quiet.said
    assert len(cloud.releases()) == 1
    again = hosts.run("ci-3", f"{up} 1s; sleep 2")
    assert again.ended() == 0, again.said
    night = hosts.run("gitlab-1", gitlab("nightly"))
    # 6: of `prod`, which drift is about, no run of this journal tells what is to be there.
    assert night.ended() == 6, night.said
    assert "shop/pull-7: destroyed" in night.said
    assert cloud.releases() == []
