"""Whom a playbook has reached: one that has reached nobody has failed, and has proven nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import Saga, SagaFailed
from alma.steps.ansible.recap import read
from tests.steps.conftest import Place

PLAY = """
- hosts: {hosts}
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"
  tasks:
    - ansible.builtin.file:
        path: "{{{{ world }}}}/made"
        state: {state}
"""


def reaching(place: Place, site: str, undo: str, **options: Any) -> Saga:
    """A playbook, and an undo that may reach nobody; the step after it fails."""
    for name, content in (("site.yml", site), ("undo.yml", undo)):
        (place.root / name).write_text(content)
    saga = Saga("shop", stack="dev")
    saga.add_ansible(
        "balancer",
        place.root / "site.yml",
        undo_playbook=place.root / "undo.yml",
        inventory=options.pop("inventory", "localhost,"),
        variables={"world": str(place.world)},
        **options,
    )
    saga.add_step("next", action=lambda: 1 / 0, compensation="none")
    return saga


MAKE = PLAY.format(hosts="all", state="touch")
NOBODY = {
    "a pattern without hosts": (
        PLAY.format(hosts="balancers", state="absent"),
        'the pattern "balancers" of a play matched no host',
    ),
    "one of two plays": (
        PLAY.format(hosts="all", state="file") + PLAY.format(hosts="databases", state="absent"),
        'the pattern "databases" of a play matched no host',
    ),
    "a play that ends before its tasks": (
        PLAY.format(hosts="all", state="absent").replace(
            "  tasks:\n", "  tasks:\n    - ansible.builtin.meta: end_play\n"
        ),
        "no task of it was run on any host",
    ),
    "facts and nothing else": (
        PLAY.format(hosts="all", state="").partition("  tasks:")[0].replace("false", "true"),
        "no task of it was run on any host",
    ),
}


@pytest.mark.parametrize("case", NOBODY)
async def test_an_undo_that_reaches_nobody_is_a_leftover(place: Place, case: str) -> None:
    """Ansible ends such a play with 0: what was made is still there."""
    undo, words = NOBODY[case]
    with pytest.raises(SagaFailed) as failed:
        await reaching(place, MAKE, undo).execute()
    result = failed.value.result
    assert result.state.name == "FAILED"
    assert place.things() == ["made"]
    assert [left.step for left in result.leftovers] == ["balancer"]
    assert words in result.leftovers[0].reason


async def test_a_playbook_that_reaches_nobody_fails_and_names_the_pattern(place: Place) -> None:
    """Forward, too: with an inventory that has nobody in it."""
    (place.root / "hosts").write_text("")
    saga = reaching(place, MAKE, MAKE, inventory=place.root / "hosts")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.failed_step == "balancer"
    assert result.error is not None
    assert result.error.message == 'the pattern "all" of a play matched no host'
    assert "optional_hosts=['all']" in result.error.hint


async def test_a_pattern_may_be_said_to_match_nobody(place: Place) -> None:
    """As after `group_by`; the journal keeps that for the undo."""
    both = PLAY.format(hosts="all", state="{state}") + PLAY.format(hosts="debian", state="touch")
    saga = reaching(
        place,
        both.replace("{state}", "touch"),
        both.replace("{state}", "absent"),
        optional_hosts=["debian"],
    )
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    assert failed.value.result.state.name == "COMPENSATED"
    assert place.things() == []


async def test_an_undo_reaches_also_those_that_a_playbook_may_miss(place: Place) -> None:
    """`ignore_unreachable` counts as ok in Ansible's recap."""
    undo = PLAY.format(hosts="all", state="absent")
    undo = undo.replace("connection: local", "port: 1\n  ignore_unreachable: true")
    with pytest.raises(SagaFailed) as failed:
        await reaching(place, MAKE, undo, inventory="127.0.0.1,").execute()
    (left,) = failed.value.result.leftovers
    assert place.things() == ["made"]
    assert "127.0.0.1 was not reached" in left.reason


def test_without_a_recap_nothing_is_proven(tmp_path: Path) -> None:
    """Another stdout callback: the events never come, and the exit code is 0."""
    failure = read(tmp_path, 0).failure()
    assert failure is not None
    assert "without a recap" in failure.message
