"""What the plugin does with objects, beyond what the application's stacks ask of it."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes.client import CoreV1Api

from alma import Secret
from tests.integration.kubernetes import programs
from tests.integration.kubernetes.cluster import Cluster
from tests.pulumi.conftest import Place, directory, place  # noqa: F401 - fixtures


class Stack:
    """One stack of the plugin's own objects."""

    def __init__(self, place: Place, provider: dict[str, str], namespace: str) -> None:  # noqa: F811
        self.place, self.fixed = place, {**provider, "namespace": namespace}

    def config(self, version: str) -> dict[str, Any]:
        return {**self.fixed, "version": version, "key": Secret("open-sesame")}

    async def up(self, version: str, program: Callable[[], Any] = programs.objects) -> Any:
        result = await self.place.up(program, config=self.config(version))
        assert result.failure is None, result.failure
        return result

    async def preview(self, version: str) -> set[tuple[str, str]]:
        """What an update would do with what."""
        request = self.place.request(programs.objects, config=self.config(version))
        result = await self.place.engine.preview(request, self.place.operation())
        assert result.failure is None, result.failure
        return {(r.urn.rpartition("::")[2], r.op) for r in result.resources}

    def refresh(self) -> str:
        """`pulumi refresh` as a person does it."""
        root = self.place.root
        (root / "refresh").mkdir(exist_ok=True)
        (root / "refresh" / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
        environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": (root / ".alma" / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(root / ".alma" / "passphrase"),
        }
        command = ["pulumi", "refresh", "--yes", "--skip-preview", "--stack", "dev"]
        done = subprocess.run(
            [*command, "--non-interactive", "--color", "never"],
            cwd=root / "refresh",
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


async def test_names_replacements_secrets_and_what_somebody_else_changed(
    place: Place,  # noqa: F811
    provider: dict[str, str],
    cluster: Cluster,
    namespace: str,
) -> None:
    """One stack from version to version; after each the cluster is asked."""
    cluster.make_namespace(namespace)
    core, stack = CoreV1Api(cluster.client), Stack(place, provider, namespace)

    # Names are made up; the key is in the cluster and nowhere in the state in plain.
    first = (await stack.up("one")).outputs
    assert re.fullmatch(r"settings-[0-9a-f]{8}", first["settings"])
    assert core.read_namespaced_config_map(first["settings"], namespace).data == {"VERSION": "one"}
    told = core.read_namespaced_secret(first["secret"], namespace).data["KEY"]
    assert told == base64.b64encode(b"open-sesame").decode()
    assert first["data"].is_sealed
    hidden = ["open-sesame", told]
    files = [path.read_text(errors="replace") for path in state_files(place.root)]
    assert files
    assert not [text for text in files if any(h in text for h in hidden)]

    # A preview tells what an update would do, and does nothing.
    planned = await stack.preview("two")
    assert planned >= {("settings", "replace"), ("given", "replace"), ("secret", "update")}
    assert core.read_namespaced_config_map(first["settings"], namespace).data == {"VERSION": "one"}

    # Replaced: under a new name where it was made up, else the old one goes first. A label that
    # is no more in the program is taken away, one that somebody else has set is not.
    core.patch_namespaced_secret(first["secret"], namespace, {"metadata": {"labels": {"x": "y"}}})
    second = (await stack.up("two")).outputs
    assert second["settings"] != first["settings"]
    assert second["secret"] == first["secret"]
    assert second["uid"] != first["uid"]
    names = [item.metadata.name for item in core.list_namespaced_config_map(namespace).items]
    assert second["settings"] in names
    assert first["settings"] not in names
    labels = core.read_namespaced_secret(second["secret"], namespace).metadata.labels
    assert labels == {"label-two": "mine", "x": "y"}

    # A refresh sees what somebody else has changed and deleted, and an update puts it back.
    core.patch_namespaced_config_map(second["settings"], namespace, {"data": {"VERSION": "?"}})
    core.delete_namespaced_secret(second["secret"], namespace)
    said = stack.refresh()
    assert "secret" in said
    third = (await stack.up("two")).outputs
    config_map = core.read_namespaced_config_map(third["settings"], namespace)
    assert config_map.data == {"VERSION": "two"}
    assert core.read_namespaced_secret(third["secret"], namespace).data["KEY"] == told
    assert (await place.destroy()).failure is None
    assert cluster.left(namespace) == [f"namespace {namespace}"]


async def test_what_is_not_ready_in_time_is_in_the_state_to_be_undone(
    place: Place,  # noqa: F811
    provider: dict[str, str],
    cluster: Cluster,
    namespace: str,
) -> None:
    """As the annotation says, after a second; the namespace is not the stack's and stays."""
    cluster.make_namespace(namespace)
    config = Stack(place, provider, namespace).config("one")
    failed = await place.up(programs.late, config=config)
    assert failed.failure is not None
    assert "Minimum number of live Pods was not attained" in failed.failure.message
    assert cluster.deployment(namespace, "late")
    held = (await place.engine.inspect(place.ref())).resources
    assert f"{namespace}/late" in [one.id for one in held]
    assert (await place.destroy()).failure is None
    assert cluster.left(namespace) == [f"namespace {namespace}"]


async def test_what_is_there_is_imported_as_it_is(
    place: Place,  # noqa: F811
    provider: dict[str, str],
    cluster: Cluster,
    namespace: str,
) -> None:
    """An update after the import changes nothing."""
    cluster.make_namespace(namespace)
    core, stack = CoreV1Api(cluster.client), Stack(place, provider, namespace)
    body = {"metadata": {"name": "theirs"}, "data": {"A": "1"}}
    theirs = core.create_namespaced_config_map(namespace, body)
    result = await stack.up("one", programs.adopted)
    assert result.outputs["uid"] == theirs.metadata.uid
    assert set((await stack.up("one", programs.adopted)).changes) == {"same"}


def state_files(root: Path) -> list[Path]:
    """The files of the state backend."""
    return [path for path in (root / ".alma" / "state").rglob("*") if path.is_file()]
