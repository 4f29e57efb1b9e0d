"""A user's own Pulumi project, here one in YAML: its directory is read and stays as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from alma.core.secret import Secret
from alma.pulumi.engine import OperationResult, StackRef
from tests.pulumi.conftest import Place

pytestmark = pytest.mark.lives

PROJECT = """name: shop
runtime: yaml
config:
  size:
    type: integer
  token:
    type: string
    secret: true
outputs:
  size: ${size}
  token: ${token}
  stack: ${pulumi.stack}
  user: ${pulumi.project}
"""

SETTINGS = """config:
  shop:size: 1   # the user's own
"""


@pytest.fixture
def shop(place: Place) -> StackRef:
    """A project directory with the user's settings for the stack."""
    if shutil.which("pulumi-language-yaml") is None:
        pytest.skip("pulumi-language-yaml is not on PATH: no project can run here")
    work_dir = place.root / "shop"
    work_dir.mkdir()
    (work_dir / "Pulumi.yaml").write_text(PROJECT)
    (work_dir / "Pulumi.dev.yaml").write_text(SETTINGS)
    return place.ref(project="shop", work_dir=str(work_dir))


def _snapshot(directory: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(directory).iterdir()}


async def _up(place: Place, ref: StackRef, **config: Any) -> OperationResult:
    return await place.up(None, ref=ref, config=config)


async def test_a_project_goes_up_and_down_and_its_directory_stays(
    place: Place, shop: StackRef
) -> None:
    before = _snapshot(shop.work_dir)
    token = Secret("CANARY-project")
    fresh = await _up(place, shop, token=token)
    assert fresh.failure is None, fresh.failure
    assert fresh.outputs["size"] == 1
    assert fresh.outputs["token"] == Secret.sealed()
    assert (await place.engine.reveal(shop))["token"] == token

    changed = await _up(place, shop, token=token, size=2)
    assert changed.failure is None, changed.failure
    assert changed.outputs["size"] == 2

    assert _snapshot(shop.work_dir) == before
    assert "CANARY" not in "\n".join(place.commands())
    for path in place.root.parent.rglob("*"):
        assert not path.is_file() or "CANARY" not in path.read_text(errors="replace"), path

    gone = await place.engine.destroy(shop, str(place.logs()), place.operation())
    assert gone.failure is None, gone.failure
    assert (await place.engine.inspect(shop)).is_empty
    removed = await place.engine.remove(shop, str(place.logs()), place.operation())
    assert removed.failure is None
    assert _snapshot(shop.work_dir) == before


async def test_a_destroy_needs_neither_the_project_nor_its_language(
    place: Place, shop: StackRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _up(place, shop, token=Secret("t"))
    shutil.rmtree(shop.work_dir)
    bare = place.root / "bare"
    bare.mkdir()
    for name in ("pulumi", "pulumi-resource-pulumi-python"):
        (bare / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", os.pathsep.join([str(bare), "/usr/bin", "/bin"]))
    gone = await place.engine.destroy(shop, str(place.logs()), place.operation())
    assert gone.failure is None, gone.failure
    assert (await place.engine.inspect(shop)).is_empty


async def test_a_project_is_previewed_without_a_trace(place: Place, shop: StackRef) -> None:
    before = _snapshot(shop.work_dir)
    request = place.request(None, ref=shop, config={"token": Secret("CANARY-preview"), "size": 3})
    result = await place.engine.preview(request, place.operation())
    assert result.failure is None, result.failure
    assert result.changes == {"create": 1}
    assert _snapshot(shop.work_dir) == before
    assert not (place.root / ".alma").exists()


async def test_a_project_of_another_name_is_refused(place: Place, shop: StackRef) -> None:
    other = place.ref(project="other", work_dir=shop.work_dir)
    result = await _up(place, other)
    assert result.failure is not None
    assert "project='shop'" in result.failure.hint
    assert not any("init" in line for line in place.commands())


async def test_an_error_in_a_project_is_its_programs(place: Place, shop: StackRef) -> None:
    (Path(shop.work_dir) / "Pulumi.yaml").write_text(PROJECT + "  broken: ${nowhere}\n")
    result = await _up(place, shop, token=Secret("t"))
    assert result.failure is not None
    assert result.failure.kind == "program"
    assert "nowhere" in result.failure.message
