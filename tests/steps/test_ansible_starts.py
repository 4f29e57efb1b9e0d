"""A playbook that cannot be played, or an Ansible that cannot start, leaves nothing to undo."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from alma.errors import ToolError
from tests.steps.conftest import Place
from tests.steps.playbooks import SAGA, playbooks
from tests.steps.test_ansible import saga_of


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", "there is no playbook"),
        ("broken", "line 2"),
        ("no list", "is no playbook"),
        ("inventory", "there is no inventory"),
    ],
)
def test_what_cannot_be_played_is_refused(place: Place, change: str, said: str) -> None:
    """One sentence and exit code 2; nothing is journaled."""
    playbooks(place.root / "plays")
    site, text = place.root / "plays" / "site.yml", SAGA
    if change == "missing":
        site.unlink()
    elif change == "broken":
        site.write_text("- hosts: all\n- : : :\n")
    elif change == "no list":
        site.write_text("hosts: all\n")
    else:
        text = SAGA.replace('"localhost,"', '"nowhere"')
    (place.root / "saga.py").write_text(text)
    code, words = place.alma("up", "saga.py")
    assert (code, said in words) == (2, True), words
    assert not (place.root / ".alma" / "journal.db").exists()


def test_missing_ansible_is_told_with_the_way_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything starts."""
    saga = saga_of(place)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ToolError, match=r"pip install 'alma-pulumi\[ansible\]'"):
        asyncio.run(saga.execute())
    assert not Path(".alma").exists()


BEFORE = """
from pathlib import Path

from alma import Saga

saga = Saga("shop", stack="dev")
world = Path(__file__).parent / "world"


def make():
    (world / "first").touch()
    {spoil}


def unmake():
    (world / "first").unlink(missing_ok=True)


saga.add_step("first", action=make, compensation=unmake)
saga.add_ansible("balancer", "plays/site.yml", undo_playbook="plays/undo.yml",
                 inventory="localhost,", variables={{"world": str(world), "names": ["a"]}})
"""


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"HOME": "/proc/none"}, "Ansible cannot start in "),
        (
            {"ODD": "a\udcff"},
            "Ansible cannot be given the environment variable ODD: its value is no UTF-8",
        ),
    ],
)
def test_where_ansible_cannot_start_nothing_is_begun(
    place: Place, environ: dict[str, str], said: str
) -> None:
    """`doctor` says the same."""
    playbooks(place.root / "plays")
    (place.root / "saga.py").write_text(BEFORE.format(spoil=""))
    code, told = place.alma("up", "saga.py", **environ)
    assert code == 2, told
    assert f"error: {said}" in told
    assert place.things() == []
    assert said in place.alma("doctor", **environ)[1]


def test_a_long_path_for_temporary_files_is_used_or_told(place: Place) -> None:
    """Newer Ansibles have a socket there."""
    playbooks(place.root / "plays")
    (place.root / "saga.py").write_text(BEFORE.format(spoil=""))
    deep = place.root / ("t" * 100)
    deep.mkdir()
    code, told = place.alma("up", "saga.py", TMPDIR=str(deep))
    if "Ansible cannot start" in told:
        assert code == 2, told
        assert "Local RPC server did not start." in told
        assert f"under {deep}: set TMPDIR to a shorter path" in told
        assert place.things() == []


def test_a_playbook_that_never_began_has_nothing_to_undo(place: Place) -> None:
    """Ansible ends before the first play: the step before is undone, and that is all."""
    playbooks(place.root / "plays")
    spoil = 'Path(__file__).with_name("plays").joinpath("ansible.cfg").write_text("[defaults")'
    (place.root / "saga.py").write_text(BEFORE.format(spoil=spoil))
    code, told = place.alma("up", "saga.py", LC_ALL="C")
    assert code == 4, told
    assert "balancer: action failed" in told
    assert place.things() == []
