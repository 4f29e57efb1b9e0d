"""Steps by playbooks, with the real Ansible on this machine."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

import psutil
import pytest

from alma import Context, Saga, SagaFailed, Secret, destroy
from alma.errors import ToolError
from alma.steps.ansible.recap import read
from tests.steps.conftest import CANARY, Place
from tests.steps.playbooks import SAGA, playbooks
from tests.waiting import until


def saga_of(place: Place, undo: str | None = "undo.yml", **options: Any) -> Saga:
    """One playbook and its undo."""
    plays = place.root / "plays"
    playbooks(plays)
    saga = Saga("shop", stack="dev")
    values = {"world": str(place.world), "names": ["a", "b"], "password": Secret(CANARY)}
    saga.add_ansible(
        "balancer",
        plays / "site.yml",
        undo_playbook=None if undo is None else plays / undo,
        inventory="localhost,",
        variables=values,
        secret_outputs=["token"],
        **options,
    )
    return saga


class Arguments:
    """Looks, as long as it is open, at what everybody can see of each process."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._over = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            for process in psutil.process_iter():
                try:
                    self.seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.02)


async def test_played_used_by_others_and_taken_down(place: Place) -> None:
    """`set_stats` gives the outputs; nothing that is secret is left, or ever in an argument."""
    saga = saga_of(place)
    told: list[Any] = []

    def use(context: Context) -> None:
        told.append(context.inputs)

    balancer = saga.steps[0]
    inputs = {"token": balancer.output("token"), "files": balancer.output("files")}
    saga.add_step(action=use, compensation="none", inputs=inputs)
    with Arguments() as arguments:
        result = await saga.execute()
    assert place.things() == ["a", "b"]
    assert told[0]["files"] == ["a", "b"]
    assert told[0]["token"].value == "token-of-a-b"
    assert result.status.steps["balancer"].changes["changed"] == 1
    assert any("ansible-playbook" in line for line in arguments.seen)
    assert not any(CANARY in line for line in arguments.seen)
    assert place.holding(CANARY) == []
    [log] = (place.root / ".alma" / "logs").rglob("ansible.log")
    assert "the password is [secret]" in log.read_text()
    assert not list(log.parent.glob("private"))
    await destroy(saga)
    assert place.things() == []


async def test_a_playbook_that_fails_half_way_is_undone(place: Place) -> None:
    """Its failure is told by task, host and message."""
    saga = saga_of(place, inputs={"broken": True})
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.state.name == "COMPENSATED"
    assert result.error is not None
    assert result.error.message == 'task "have room for all" on localhost: no room for it'
    assert place.things() == []


async def test_without_a_good_undo_it_is_a_leftover(place: Place) -> None:
    """An undo with a failed host is none; nor is no undo at all."""
    saga = saga_of(place, inputs={"broken": True, "stuck": True})
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.state.name == "FAILED"
    assert 'undo.yml failed: task "be stuck" on localhost' in result.leftovers[0].reason

    saga = Saga("other", stack="dev")
    short = place.root / "plays" / "short.yml"
    short.write_text("- hosts: all\n  gather_facts: false\n  tasks: [{fail: {msg: asked to}}]\n")
    saga.add_ansible("balancer", short, inventory="localhost,")
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    assert failed.value.result.leftovers[0].reason == "the step has no undo_playbook"


async def test_at_the_deadline_it_is_interrupted_and_undone(place: Place) -> None:
    """What it was doing is stopped, and the undo has its own time."""
    saga = saga_of(place, inputs={"gate": str(place.root / "gate")}, timeout=4)
    with pytest.raises(SagaFailed) as failed:
        await saga.execute()
    result = failed.value.result
    assert result.error is not None
    assert (result.error.kind, result.state.name) == ("timeout", "COMPENSATED")
    assert place.things() == []


def test_one_signal_to_the_runner_stops_ansible_and_undoes(place: Place) -> None:
    """Ansible gets one SIGINT."""
    playbooks(place.root / "plays")
    (place.root / "saga.py").write_text(SAGA)
    runner = place.start("up", "saga.py", GATE=str(place.root / "gate"))
    until((place.root / "gate.begun").exists)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(timeout=300) == 4
    assert place.things() == []
    events = place.document("history", "latest")
    signals = [event["signal"] for event in events if event["type"] == "SignalSent"]
    assert signals == ["SIGINT"]


def test_ansible_outlives_its_runner_and_the_run_goes_on(place: Place) -> None:
    """It is waited for, played again, and leaves nothing of what it was given."""
    playbooks(place.root / "plays")
    (place.root / "saga.py").write_text(SAGA)
    gate = place.root / "gate"
    runner = place.start("up", "saga.py", GATE=str(gate))
    until((place.root / "gate.begun").exists)
    place.kill(runner)
    gate.touch()
    code, said = place.alma("resume", "latest", GATE=str(gate))
    assert code == 0, said
    assert (place.world / "a").read_text() == "made\n"
    assert place.holding(CANARY, but=("saga.py",)) == []
    found = [e for e in place.document("history", "latest") if e["type"] == "OperationReconciled"]
    assert "play" in found[0]["found"]


def test_a_rollback_without_the_saga(place: Place) -> None:
    """From the journal: the undo and its plain variables are in it."""
    playbooks(place.root / "plays")
    saga = place.root / "saga.py"
    text = SAGA.replace('stack="dev"', 'on_failure="stop"')
    text = text.replace('Secret("canary-7Qx9wV-secret")', '"plain"')
    saga.write_text(f'{text}saga.add_step("last", action=lambda: 1 / 0, compensation="none")\n')
    assert place.alma("up", "saga.py")[0] == 10
    saga.unlink()
    code, said = place.alma("rollback", "latest")
    assert code == 4, said
    assert place.things() == []


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


def test_a_playbook_that_never_began_has_nothing_to_undo(place: Place) -> None:
    """Ansible ends before the first play: the step before is undone, and that is all."""
    playbooks(place.root / "plays")
    spoil = 'Path(__file__).with_name("plays").joinpath("ansible.cfg").write_text("[defaults")'
    (place.root / "saga.py").write_text(BEFORE.format(spoil=spoil))
    code, told = place.alma("up", "saga.py", LC_ALL="C")
    assert code == 4, told
    assert "balancer: action failed" in told
    assert place.things() == []
