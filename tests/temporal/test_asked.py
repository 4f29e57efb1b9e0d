"""What is said with `up`: each reaches the worker that begins the run, and none of it Temporal."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from alma.core.secret import Secret
from alma.core.selection import Selection
from alma.errors import DefinitionError, RunNotFoundError
from alma.journal import open_journal
from alma.runner.settings import Settings
from alma.runner.temporal.asked import Asked, asked_with, forget, keep, read
from alma.runner.temporal.served import Served
from alma.saga.target import open_target
from tests.temporal.stage import Stage, kill

FUNCTION = """
import os, time
from pathlib import Path
from alma import Saga, Secret

HERE = Path(__file__).parent

def note(what):
    with (HERE / "notes").open("a") as file:
        file.write(f"{{what}} {{os.getpid()}}\\n")
    while (HERE / f"hold {{what}}").exists():
        time.sleep(0.05)

def shop(region: str, token: Secret, count: int = 1) -> Saga:
    saga = Saga({name!r}, stack="dev")
    plain = token.value
    def do_a(c): note(f"a in {{region}} of {{count}}")
    def do_b(c):
        note("do b")
        note("b has its token" if plain == "canary-of-the-run" else "b has another token")
    def do_c(c): note("do c")
    def undo(c): note("undo")
    saga.add_step("a", do_a, undo)
    saga.add_step("b", do_b, undo, after=["a"])
    saga.add_step("c", do_c, undo, after=["b"])
    return saga
"""
ITS_OWN = ("-p", "region=eu", "-p", "token=@env:ITS")


@pytest.fixture
def shop(stage: Stage) -> Stage:
    (stage.directory / "saga.py").write_text(FUNCTION.format(name=stage.name))
    return stage


def test_a_run_goes_on_with_what_it_was_given_whatever_its_workers_were(shop: Stage) -> None:
    first = shop.worker(*ITS_OWN, ITS="canary-of-a-worker")
    shop.hold("do b")
    words = ("up", "saga.py", "--yes", "-p", "region=us", "-p", "count=2", "--ttl", "4h")
    up = shop.begin(*words, "-p", f"token=@file:{_file(shop, 'canary-of-the-run')}")
    shop.begun("do b")
    assert shop.notes[0] == "a in us of 2"
    kill(first)
    shop.let_go("do b")
    shop.worker(*ITS_OWN, ITS="canary-of-another-worker")
    assert shop.ended(up) == 0, shop.said()
    # A function has no check: what was cut off in it is done again, by what the run was given.
    assert shop.notes[1:] == ["do b", "do b", "b has its token", "do c"]
    run = shop.run
    assert run.parameters["region"] == "us"
    assert "canary" not in str(run.parameters)
    assert run.expires_at is not None
    text = shop.exported()
    assert run.run in text
    for secret in ("canary", "region", "token", "4h"):
        assert secret not in text


def test_steps_are_selected_and_a_next_up_is_about_what_has_changed(stage: Stage) -> None:
    stage.worker()
    done = stage.call("up", "saga.py", "b", "--yes")
    assert done.returncode == 0, done.stderr + stage.said()
    assert stage.notes == ["do a", "do b"]
    assert list(stage.run.steps) == ["a", "b"]
    again = stage.call("up", "saga.py", "--from", "b", "--exclusive", "--changed", "--yes")
    assert again.returncode == 0, again.stderr + stage.said()
    assert stage.notes == ["do a", "do b", "do b"]
    assert list(stage.run.steps) == ["b"]
    assert stage.run.changed
    wrong = stage.call("up", "saga.py", "x*", "--yes")
    # It is refused by the worker that was to begin it, and told here as that of a local one.
    assert wrong.returncode == 2
    assert "x*" in wrong.stderr
    assert "x*" not in stage.exported()


def test_an_interrupted_run_is_no_other_selections_and_no_other_parameters(shop: Stage) -> None:
    shop.worker(*ITS_OWN, ITS="canary-of-a-worker")
    shop.hold("do b")
    given = ("--yes", "-p", "region=us", "-p", f"token=@file:{_file(shop, 'canary-of-the-run')}")
    up = shop.begin("up", "saga.py", *given)
    shop.begun("do b")
    shop.temporal.cli("workflow", "terminate", "-w", f"alma/{shop.target}")
    assert shop.ended(up) == 8
    other = shop.call("up", "saga.py", "a", *given)
    assert other.returncode == 11
    assert "is about other steps" in other.stderr
    changed = shop.call("up", "saga.py", *(one.replace("=us", "=eu") for one in given))
    assert changed.returncode == 2
    assert "The parameter region was 'us'" in changed.stderr
    # It goes on in Temporal whether that is said again or not.
    unsaid = shop.call(
        "up", "saga.py", *(one.replace("=us", "=eu") for one in given), ALMA_TEMPORAL=""
    )
    assert unsaid.returncode == 2
    assert "The parameter region was 'us'" in unsaid.stderr
    resumed = shop.call("resume", "latest", "-p", "region=eu")
    assert resumed.returncode == 2
    assert "the parameters that it was begun with" in resumed.stderr


def test_a_worker_with_another_journal_refuses_the_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALMA_JOURNAL_KEY", Fernet.generate_key().decode())
    stage.worker(ALMA_JOURNAL=str(tmp_path / "another" / "journal.db"))
    done = stage.up()
    assert done.returncode == 6, done.stderr
    assert "is not in the journal" in stage.said()
    assert stage.notes == []


def test_a_worker_whose_saga_takes_no_parameters_does_not_pass_over_them(tmp_path: Path) -> None:
    file = tmp_path / "saga.py"
    file.write_text("from alma import Saga\nsaga = Saga('s')\nsaga.add_step('a', print)\n")
    opened = open_target(str(file))
    served = Served(opened=opened, loaded=opened.load(), settings=Settings())
    assert served.saga({}, {}) is served.loaded.saga
    with pytest.raises(DefinitionError, match="on this worker has no parameter 'region'"):
        served.saga({"region": "us"}, {})


@pytest.mark.parametrize("ttl", [None, "none", timedelta(hours=4)])
def test_all_of_it_comes_back_as_it_was_said(tmp_path: Path, ttl: object) -> None:
    said = Settings(
        selection=Selection(from_steps=("b",), exclude=("c*",)),
        changed=True,
        accept_backend=True,
        accept_existing=True,
        ttl=ttl,  # type: ignore[arg-type]
        reason="as agreed",
    )
    asked = asked_with(said, {"token": Secret("canary")}, {"stack": "dev"})
    with open_journal(tmp_path / "journal.db", write=True) as journal:
        journal.keys.prepare()
        digest = keep(journal, "shop/dev", asked)
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"canary" not in kept
        back = read(journal, "shop/dev", "r", digest, known=False)
        assert back.of(Settings(origin="saga.py")) == Settings(
            **{
                **{name: getattr(said, name) for name in said.__struct_fields__},
                "origin": "saga.py",
            }
        )
        assert back.parameters["token"].value == "canary"
        assert back.overrides == {"stack": "dev"}
        forget(journal, digest)
        with pytest.raises(RunNotFoundError, match="is not in the journal"):
            read(journal, "shop/dev", "r", digest, known=False)
        assert read(journal, "shop/dev", "r", digest, known=True) == Asked()


def _file(stage: Stage, secret: str) -> Path:
    path = stage.directory / "token"
    path.write_text(secret)
    path.chmod(0o600)
    return path
