"""Steps by commands: real programs, in sessions of their own."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from alma import Context, DefinitionError, Retry, Saga, SagaFailed, Secret, destroy
from alma.errors import ToolError
from tests.steps.commands import LAST, SAGA, calls, program
from tests.steps.conftest import CANARY, Place
from tests.steps.test_ansible import Arguments
from tests.waiting import until

FAST = Retry(attempts=3, delay=0.01)


def saga_of(place: Place, *, fails: bool = False, **options: Any) -> Saga:
    """A thing by a program, and a step after it that may fail."""
    program(place.root)
    saga = Saga("shop", stack="dev")
    given: dict[str, Any] = {
        "do": ["./thing.sh", "do"],
        "undo": ["./thing.sh", "undo"],
        "check": ["./thing.sh", "check"],
        "gone": [1, 4],
        "work_dir": place.root,
        "secret_outputs": ["token"],
        "inputs": {"NAME": "a", "PASSWORD": Secret(CANARY)},
        **options,
    }
    saga.add_command("thing", **{name: one for name, one in given.items() if one is not ...})
    if fails:
        saga.add_step("last", action=lambda: 1 / 0, compensation="none")
    return saga


async def failed(saga: Saga) -> Any:
    with pytest.raises(SagaFailed) as caught:
        await saga.execute()
    return caught.value.result


def types(place: Place) -> list[str]:
    return [event["type"] for event in place.document("history", "latest")]


def words(place: Place) -> list[str]:
    return [call[0] for call in calls(place.root)]


async def test_run_used_by_others_and_taken_down(place: Place) -> None:
    """Nothing that is secret is left, or ever in an argument; an undo is given the outputs."""
    saga = saga_of(place)
    told: list[Any] = []
    inputs = {name: saga.steps[0].output(name) for name in ("id", "token")}

    def use(context: Context) -> None:
        told.append(context.inputs)

    saga.add_step(action=use, compensation="none", inputs=inputs)
    with Arguments() as arguments:
        await saga.execute()
    assert place.things() == ["a"]
    assert told[0]["id"] == "a-1"
    assert told[0]["token"].value == "token-of-a"
    assert not any(CANARY in line for line in arguments.seen)
    [log] = (place.root / ".alma" / "logs").rglob("do.log")
    assert log.read_text() == "the password is [secret]\n"
    assert not list(log.parent.glob("private"))
    await destroy(saga)
    assert place.things() == []
    assert json.loads((place.root / "result").read_text()) == {"id": "a-1", "token": "token-of-a"}
    (place.root / "result").unlink()
    assert place.holding(CANARY) == place.holding("token-of-a", but=("thing.sh",)) == []


async def test_a_failed_one_is_undone_and_seen_to_be_gone(place: Place) -> None:
    """Its last line is the reason; the key of an undo is another one."""
    (place.root / "broken").touch()
    result = await failed(saga_of(place))
    assert result.state.name == "COMPENSATED"
    assert result.error.message == "do (thing.sh) ended with exit code 7: no room for it"
    assert place.things() == []
    assert words(place) == ["check", "do", "undo", "check"]
    keys = {word: key for word, key, _ in calls(place.root)}
    assert keys["do"] == keys["check"] != keys["undo"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("stuck", "undo (thing.sh) ended with exit code 9: it is in use"),
        ("lies", "undo has succeeded, and by its check it is still there"),
        ("blind", "check (thing.sh) ended with exit code 75: no connection to the service"),
    ],
)
async def test_what_is_not_seen_to_be_gone_is_a_leftover(
    place: Place, spoil: str, said: str
) -> None:
    """An undo that fails, one that only says so, and a check that cannot tell."""
    saga = saga_of(place)
    saga.add_step("last", action=lambda: (place.root / spoil).touch() or 1 / 0)
    result = await failed(saga)
    assert result.state.name == "FAILED"
    assert said in next(left.reason for left in result.leftovers if left.step == "thing")


async def test_a_service_that_is_away_for_a_while_is_tried_again(place: Place) -> None:
    """With the same key."""
    (place.root / "away").touch()
    result = await failed(saga_of(place, retry=FAST))
    assert result.state.name == "COMPENSATED"
    keys = [key for word, key, _ in calls(place.root) if word == "do"]
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_nothing_is_begun_where_nobody_can_tell_what_is_there(place: Place) -> None:
    """The check is asked before `do`."""
    (place.root / "blind").touch()
    result = await failed(saga_of(place))
    assert result.state.name == "COMPENSATED"
    assert "Nobody can tell what is there" in result.error.message
    assert words(place) == ["check"]


async def test_a_check_that_sees_nothing_afterwards_is_no_check(place: Place) -> None:
    """It would see nothing after the undo either."""
    result = await failed(saga_of(place, check=["false"], undo=["true"]))
    assert "do has succeeded, and by its check it is not there" in result.error.message


@pytest.mark.parametrize(
    ("options", "state", "reason"),
    [
        ({"already": 3}, "COMPENSATED", ""),
        ({"do": ["true"]}, "FAILED", "it was there before this run (check has seen it)"),
        ({"already": 3, "check": ...}, "COMPENSATED", ""),
    ],
)
async def test_what_was_there_before_is_left(
    place: Place, options: dict[str, Any], state: str, reason: str
) -> None:
    """Whoever says that nothing was changed has nothing to undo; else it is named."""
    (place.world / "a").touch()
    result = await failed(saga_of(place, fails=True, **options))
    assert place.things() == ["a"]
    assert "undo" not in words(place)
    assert result.state.name == state
    assert reason in "".join(left.reason for left in result.leftovers)


async def test_an_attempt_that_failed_may_have_made_it(place: Place) -> None:
    """Without a check nobody can tell whose it is; with one it is this run's, and undone."""
    program(place.root)
    text = 'touch "world/$NAME"; [ -e tried ] && exit 3; touch tried; exit 7'
    shell: dict[str, Any] = {"do": ["sh", "-c", text], "already": 3, "retry": FAST}
    result = await failed(saga_of(place, fails=True, check=..., **shell))
    assert place.things() == ["a"]
    assert "an attempt before it had failed" in result.leftovers[0].reason
    (place.root / "tried").unlink()
    (place.world / "a").unlink()
    result = await failed(saga_of(place, fails=True, **shell))
    assert (place.things(), result.state.name) == ([], "COMPENSATED")


@pytest.mark.parametrize(
    ("undo", "state"), [(..., "FAILED"), ("none", "COMPENSATED")], ids=["without", "none"]
)
async def test_without_an_undo_it_is_named(place: Place, undo: Any, state: str) -> None:
    """Unless its author says that there is nothing to undo."""
    result = await failed(saga_of(place, fails=True, undo=undo))
    assert result.state.name == state
    assert [left.reason for left in result.leftovers] == ["the step has no undo"] * (undo is ...)


async def test_inputs_on_stdin_are_in_no_environment(place: Place) -> None:
    """As JSON, with their types; the file of the outputs may hold JSON as well."""
    told = place.root / "told.json"
    code = (
        "import json, os, sys; given = json.load(sys.stdin); "
        f"json.dump([given, dict(os.environ)], open({str(told)!r}, 'w')); "
        "json.dump({'ports': given['a-list'], 'seen': given['password']}, "
        "open(os.environ['ALMA_OUTPUT'], 'w'))"
    )
    saga = Saga("shop", stack="dev")
    step = saga.add_command(
        "thing",
        do=[sys.executable, "-c", code],
        undo="none",
        inputs_by="stdin",
        inputs={"a-list": [80, 443], "password": Secret(CANARY)},
    )
    result = await saga.execute()
    given, environ = json.loads(told.read_text())
    told.unlink()
    assert given == {"a-list": [80, 443], "password": CANARY}
    assert CANARY not in str(environ)
    assert result.outputs[step.name]["ports"] == [80, 443]
    assert isinstance(result.outputs[step.name]["seen"], Secret)
    assert place.holding(CANARY) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{oops", "it begins as JSON and is none, line 1"),
        ("a line", "line 1 is no key=value"),
        ('{"a": NaN}', "is nan"),
    ],
)
async def test_outputs_that_cannot_be_taken_fail_the_step(
    place: Place, text: str, said: str
) -> None:
    """It may have taken effect all the same: it is undone."""
    do = ["sh", "-c", f"touch \"world/$NAME\"; printf '%s' '{text}' > \"$ALMA_OUTPUT\""]
    result = await failed(saga_of(place, do=do))
    assert said in result.error.message
    assert (result.state.name, place.things()) == ("COMPENSATED", [])


async def test_a_shell_only_where_one_is_asked_for(place: Place) -> None:
    """A list is given to its program as it is."""
    saga = Saga("shop", stack="dev")
    saga.add_command("plain", do=["touch", "world/$HOME;x"], undo="none", work_dir=place.root)
    saga.add_command(  # noqa: S604 - what this is about
        "shell",
        do='echo id="$NAME" > "$ALMA_OUTPUT" && touch world/b | cat',
        undo="rm world/b",
        check="test -e world/b",
        shell=True,
        inputs={"NAME": "b"},
        work_dir=place.root,
    )
    result = await saga.execute()
    assert place.things() == ["$HOME;x", "b"]
    assert result.outputs["shell"] == {"id": "b"}


async def test_at_the_deadline_all_of_it_is_ended_and_undone(place: Place) -> None:
    """A shell ends at its signal, and what it has started does not: no undo begins beside that."""
    hangs = f"touch world/a; {sys.executable} -c 'import time; time.sleep(600)' its-marker & wait"
    saga = saga_of(place, do=["sh", "-c", hangs], timeout=1.5)
    from alma.runner.settings import Settings
    from alma.runner.start import up

    with pytest.raises(SagaFailed) as caught:
        await up(saga, settings=Settings(grace=0.3))
    assert caught.value.result.error is not None
    assert caught.value.result.error.kind == "timeout"
    assert caught.value.result.state.name == "COMPENSATED"
    assert place.things() == []
    mine = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]]
    assert not [p for p in mine if p.info["cmdline"][-1] == "its-marker"]


def test_a_command_outlives_its_runner_and_is_not_repeated(place: Place) -> None:
    """It is waited for; the check says that it is there, and what it has written is not lost."""
    program(place.root)
    (place.root / "saga.py").write_text(SAGA)
    gate = place.root / "gate"
    runner = place.start("up", "saga.py", GATE=str(gate))
    until((place.root / "gate.begun").exists)
    place.kill(runner)
    runner = place.start("resume", "latest", GATE=str(gate))
    until(lambda: "RunResumed" in types(place))
    assert "OperationReconciled" not in types(place)
    gate.touch()
    _, said = runner.communicate(timeout=300)
    assert runner.returncode == 0, said
    assert words(place) == ["check", "do", "check"]
    found = place.document("status", "latest")["outputs"]["thing"]
    assert found == {"id": "a-1", "token": "[secret]"}
    assert place.holding(CANARY, but=("saga.py",)) == []


def test_killed_with_its_runner_it_is_told_that_it_is_in_doubt(place: Place) -> None:
    """The check says that it is not there: it is done again, under the same key."""
    program(place.root)
    (place.root / "saga.py").write_text(SAGA)
    gate = place.root / "gate"
    runner = place.start("up", "saga.py", GATE=str(gate))
    until((place.root / "gate.begun").exists)
    events = place.document("history", "latest")
    [process] = [e["process"] for e in events if e["type"] == "ProcessSpawned"]
    place.kill(runner)
    os.killpg(process["pid"], signal.SIGKILL)
    (place.world / "a").unlink()
    gate.touch()
    code, said = place.alma("resume", "latest", GATE=str(gate))
    assert code == 0, said
    assert place.things() == ["a"]
    done = [(key, doubt) for word, key, doubt in calls(place.root) if word == "do"]
    assert [doubt for _, doubt in done] == ["0", "1"]
    assert len({key for key, _ in done}) == 1


def test_a_rollback_without_the_saga_has_its_secrets(place: Place) -> None:
    """From the journal: the commands, their directory, where their programs are, and the inputs."""
    program(place.root)
    saga = place.root / "saga.py"
    saga.write_text(SAGA + LAST)
    assert place.alma("up", "saga.py", POLICY="stop")[0] == 10
    saga.unlink()
    (place.root / "thing.sh").rename(place.root / "hidden.sh")
    code, said = place.alma("rollback", "latest")
    assert code == 2, said
    assert "its program" in said
    assert "is not there any more" in said
    (place.root / "hidden.sh").rename(place.root / "thing.sh")
    code, said = place.alma("rollback", "latest")
    assert code == 4, said
    assert place.things() == []
    assert json.loads((place.root / "result").read_text())["token"] == "token-of-a"
    assert place.holding(CANARY) == []


def test_one_signal_ends_it_and_it_is_undone(place: Place) -> None:
    program(place.root)
    (place.root / "saga.py").write_text(SAGA)
    runner = place.start("up", "saga.py", GATE=str(place.root / "gate"))
    until((place.root / "gate.begun").exists)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(timeout=300) == 4
    assert place.things() == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"do": "touch a"}, 'do must be a list of arguments, not "touch a"'),
        ({"do": []}, "do names no program"),
        ({"do": ["a", Secret("x")]}, "a secret cannot be an argument"),
        ({"undo": ["rm", CANARY]}, "undo holds a secret input"),
        ({"check": ["a", None]}, "check: None is no argument"),
        ({"shell": True}, "do must be a text for the shell"),
        ({"inputs": {"a-b": 1}}, "input 'a-b' cannot be a variable"),
        ({"inputs": {"ALMA_KEY": "1"}}, "input 'ALMA_KEY' cannot be a variable"),
        ({"already": [0]}, "already: 0 is no exit code from 1 to 255"),
        ({"gone": "1"}, "gone must be a list of exit codes"),
        ({"work_dir": "nowhere"}, "there is no directory"),
        ({"inputs_by": "argv"}, "inputs_by must be one of environment, stdin"),
    ],
)
def test_what_cannot_be_run_is_refused(place: Place, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        saga_of(place, **options)
    assert said.replace('"touch a"', "'touch a'") in caught.value.message


def test_a_program_that_is_missing_is_told_before_anything_is_begun(place: Place) -> None:
    """One sentence and exit code 2."""
    text = SAGA.replace('undo=["./thing.sh"', 'undo=["no-such-program"')
    program(place.root)
    (place.root / "saga.py").write_text(text)
    code, said = place.alma("up", "saga.py")
    assert code == 2, said
    assert 'Step "thing": the program no-such-program is not on PATH.' in said
    assert not Path(place.root / "calls").exists()
    assert not (place.root / ".alma" / "journal.db").exists()


def test_preview_names_the_commands(place: Place) -> None:
    program(place.root)
    (place.root / "saga.py").write_text(SAGA)
    [step] = place.document("preview")["steps"]
    assert step["what"] == "run ./thing.sh do"
    assert step["undo"] == "run ./thing.sh undo, then ./thing.sh check must say that it is gone"
    assert words(place) == []


async def test_a_directory_that_is_gone_is_told(place: Place) -> None:
    directory = place.root / "inner"
    directory.mkdir()
    saga = saga_of(place, do=["true"], undo=["true"], check=..., work_dir=directory)
    directory.rmdir()
    with pytest.raises(ToolError, match="there is no directory"):
        await saga.execute()
