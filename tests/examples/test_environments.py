from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.examples.conftest import EXAMPLES, Place

if TYPE_CHECKING:
    from pathlib import Path

FILES = EXAMPLES / "environments"
SAGA = "environments/saga.py"
PASSWORD = "correct-horse-battery"


@pytest.mark.lives
@pytest.mark.timeout(300)
def test_an_environment_goes_up_by_its_file_and_down_without_being_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A worker runs a program that has closed over the function's parameters."""
    argv = tmp_path / "argv"
    monkeypatch.setenv("ALMA_TEST_ARGV", str(argv))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("ADMIN_PASSWORD", PASSWORD)
    dev = place.alma(f"graph --params {FILES}/dev.yaml", SAGA)
    assert [node["project"] for node in dev["nodes"]] == ["shop-database", "shop-servers"]
    prod = place.alma(f"up --params {FILES}/prod.yaml -p servers=1", SAGA)
    assert prod["outputs"]["servers"]["environment"] == "prod"
    assert prod["outputs"]["servers"]["admin_password"] == "[secret]"
    assert prod["parameters"] == {
        "environment": "prod",
        "admin_password": "[secret]",
        "servers": 1,
        "rows": ["first", "second"],
    }
    monkeypatch.delenv("ADMIN_PASSWORD")
    # What there is to go back to: nothing was there before. The saga is built all the same.
    assert not place.alma("restore --step servers --stack prod", SAGA)
    assert place.alma("destroy --yes", SAGA)["stack"] == "prod"
    assert place.left() == []
    assert argv.read_text().count(" destroy ") == 2
    seen = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in seen if PASSWORD.encode() in path.read_bytes()]
