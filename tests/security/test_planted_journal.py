"""A journal that somebody else has written is looked at, and not acted on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from alma import Saga
from alma.core import events as ev
from alma.core.definition import StepDefinition
from alma.errors import UntrustedJournalError
from alma.journal import open_journal
from alma.journal.chain import row_hash
from alma.journal.rows import EventRow
from tests.security.planting import OWNED, SAGA, files_below, plant, somebody_else
from tests.steps.api import Api, serve

Cli = Callable[..., Result]

ACTING = [
    ["up", "saga.py"],
    ["destroy", "saga.py", "--yes"],
    ["restore", "saga.py", "--step", "stack"],
    ["resume", "latest"],
    ["resume", "latest", "--target", "saga.py"],
    ["rollback", "latest"],
    ["skip", "latest", "module", "--reason", "x"],
    ["abandon", "latest", "--reason", "x"],
    ["prune", "--keep", "0"],
    ["rekey"],
]
LOOKING = [["status"], ["history", "latest"], ["runs"], ["verify"], ["doctor"]]
"""Each says in its way that there is a run."""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / ".alma" / "journal.db"


@pytest.fixture
def api() -> Iterator[Api]:
    with serve() as found:
        yield found


@pytest.fixture
def planted(tmp_path: Path, journal: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> str:
    """All that a journal can name: a file, a program, a module, a URL, a stack, a directory."""
    monkeypatch.syspath_prepend(tmp_path)  # so that the planted module would be found
    (tmp_path / "saga.py").write_text(SAGA + 'saga.add_stack("stack", program=lambda: None)\n')
    (tmp_path / "evil.py").write_text(SAGA + OWNED)
    (tmp_path / "evil_kind.py").write_text(OWNED)
    (tmp_path / "evil.sh").write_text("#!/bin/sh\ntouch owned\n")
    (tmp_path / "evil.sh").chmod(0o755)
    module = {"program": str(tmp_path / "evil.sh"), "values": {}, "secrets": []}
    request = {"method": "POST", "url": f"{api.url}/records", "json": "{inputs.token}"}
    steps = [
        StepDefinition(name="victim", kind="stack", project="payroll"),
        StepDefinition(name="module", kind="terraform", work_dir=str(tmp_path), settings=module),
        StepDefinition(name="kind", kind="evil_kind:Kind"),
        StepDefinition(
            name="post",
            kind="http",
            dependencies=("victim",),
            inputs={"token": "victim.password"},
            settings={"undo": request, "values": {}, "secrets": []},
        ),
    ]
    started = [ev.StepStarted(step=step.name) for step in steps]
    turned = ev.CompensationStarted(reason="x")
    with somebody_else(tmp_path):
        return plant(journal, steps, *started, turned, origin="evil.py:saga")


@pytest.mark.parametrize("words", ACTING, ids=" ".join)
def test_it_is_not_acted_on(
    planted: str, tmp_path: Path, cli: Cli, api: Api, words: list[str]
) -> None:
    """One sentence and 11; nothing that it names is run, asked or written, nor is it itself."""
    before = files_below(tmp_path)
    result = cli(*words)
    assert result.exit_code == 11, result.output
    assert f"not written with a key of yours (run {planted})" in result.stderr
    assert "--trust" in result.stderr
    assert not (tmp_path / "owned").exists()
    assert api.asked == []
    after = files_below(tmp_path)
    assert {name: after[name] for name in before} == before
    assert [name for name in after if name not in before and "__pycache__" not in name] == []


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_it_is_looked_at(planted: str, tmp_path: Path, cli: Cli, words: list[str]) -> None:
    result = cli(*words)
    assert result.exit_code == 0, result.output
    assert planted in result.output or "CompensationStarted" in result.output
    assert not (tmp_path / "owned").exists()


def test_verify_says_whose_it_is(planted: str, tmp_path: Path, cli: Cli) -> None:
    assert f"not yours: 1 run not written with a key of yours (the newest is {planted})" in (
        cli("verify").stdout
    )
    assert '"own": false' in cli("verify", "--json").stdout
    with somebody_else(tmp_path):
        assert "yours: written with a key of yours" in cli("verify").stdout


async def test_in_python_it_is_an_error_of_its_own(planted: str) -> None:
    saga = Saga("shop", stack="dev")
    saga.add_step("database", action=lambda: None, compensation=lambda: None)
    with pytest.raises(UntrustedJournalError, match=planted):
        await saga.execute()


def test_what_is_trusted_is_ones_own_from_then_on(tmp_path: Path, cli: Cli) -> None:
    """Once is enough; an older alma's journal has no seals at all, and is asked for in this way."""
    (tmp_path / "saga.py").write_text(SAGA)
    with somebody_else(tmp_path):
        assert cli("up", "saga.py").exit_code == 0
    assert cli("up", "saga.py").exit_code == 11
    assert cli("up", "saga.py", "--trust").exit_code == 0
    assert cli("up", "saga.py").exit_code == 0
    assert "yours: " in cli("verify").stdout


def test_a_broken_journal_cannot_be_trusted(tmp_path: Path, journal: Path, cli: Cli) -> None:
    (tmp_path / "saga.py").write_text(SAGA)
    with somebody_else(tmp_path):
        assert cli("up", "saga.py").exit_code == 0
    edited(journal, "UPDATE events SET at = '2020-01-01T00:00:00+00:00' WHERE position = 1")
    result = cli("up", "saga.py", "--trust")
    assert result.exit_code == 11
    assert "is not what was written: position 1" in result.stderr


# -- a journal of one's own that was tampered with -------------------------------------------------


@pytest.fixture
def interrupted(tmp_path: Path, journal: Path) -> str:
    """An own run that waits to be undone."""
    (tmp_path / "saga.py").write_text(SAGA)
    step = StepDefinition(name="database", kind="action", compensation="nothing")
    started = ev.StepStarted(step="database")
    return plant(journal, [step], started, ev.CompensationStarted(reason="x"))


def edited(path: Path, *statements: str) -> None:
    """Change rows, and compute the chain of the events anew."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        guards = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in guards:
            connection.execute(sql)


def rechained(path: Path) -> None:
    """The hashes of all events as whoever edits them computes them, and the seals' as well."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rows = [*map(EventRow._make, connection.execute("SELECT * FROM events ORDER BY position"))]
    prev, statements = "0" * 64, []
    for row in rows:
        digest = row_hash(prev, row[:-2])
        statements.append(
            f"UPDATE events SET prev = '{prev}', hash = '{digest}' WHERE position = {row.position}"  # noqa: S608
        )
        prev = digest
    edited(path, *statements)


TAMPERING = {
    "the first event is edited": (
        """UPDATE events SET data = replace(data, '"origin":""', '"origin":"evil.py:saga"')""",
    ),
    "the last one is": (
        """UPDATE events SET data = replace(data, '"reason":"x"', '"reason":"y"')""",
    ),
    "the end is cut off": ("DELETE FROM events WHERE position = 4",),
    "the seals are gone": ("DELETE FROM seals",),
    "and the seal fits what is left": (
        "DELETE FROM events WHERE position = 4",
        "UPDATE seals SET seq = 3, hash = (SELECT hash FROM events WHERE position = 3)",
    ),
}


@pytest.mark.parametrize("tampering", TAMPERING)
def test_tampering_shows(interrupted: str, journal: Path, cli: Cli, tampering: str) -> None:
    """The chain is whole again; what the key has made is not."""
    assert cli("status").exit_code == 0
    edited(journal, *TAMPERING[tampering])
    rechained(journal)
    for words in (["resume", "latest", "--target", "saga.py"], ["up", "saga.py"]):
        result = cli(*words)
        assert result.exit_code == 11, (words, result.output)
        assert f"run {interrupted}" in result.stderr


def test_a_run_put_into_ones_own_journal_is_not_acted_on(
    interrupted: str, tmp_path: Path, journal: Path, cli: Cli
) -> None:
    """As into a cache that comes back to a job."""
    step = StepDefinition(name="victim", kind="stack", project="payroll")
    with somebody_else(tmp_path):
        planted = plant(journal, [step], ev.StepStarted(step="victim"))
    for words in (["up", "saga.py"], ["rollback", interrupted]):
        result = cli(*words)
        assert result.exit_code == 11
        assert f"run {planted}" in result.stderr


def test_nothing_can_be_added_to_anothers_run(
    interrupted: str, tmp_path: Path, journal: Path
) -> None:
    """Whatever calls it: a seal would make of somebody's events one's own."""
    with (
        somebody_else(tmp_path),
        open_journal(journal, write=True) as opened,
        opened.acquire("shop/dev", interrupted) as lease,
        pytest.raises(UntrustedJournalError),
    ):
        opened.append(interrupted, ev.RunCompensated(), lease)


# -- a saga is given: its own steps, and no others -----------------------------------------------


@pytest.mark.parametrize("words", [["up", "saga.py"], ["resume", "latest", "--target", "saga.py"]])
def test_a_saga_stands_for_its_own_steps(
    tmp_path: Path, journal: Path, cli: Cli, words: list[str]
) -> None:
    """Even of an own run: a step that the file has not is undone only by a rollback of the run."""
    (tmp_path / "saga.py").write_text(SAGA)
    steps = [
        StepDefinition(name="database", kind="action", compensation="nothing"),
        StepDefinition(name="old", kind="action", compensation="nothing"),
    ]
    started = [ev.StepStarted(step=step.name) for step in steps]
    run = plant(journal, steps, *started, ev.CompensationStarted(reason="x"))
    result = cli(*words)
    assert result.exit_code == 2
    assert 'step "old", which is not in the saga' in result.stderr
    assert f"alma-pulumi rollback {run}" in result.stderr
    assert cli("rollback", run).exit_code == 4


async def test_trust_in_python(tmp_path: Path) -> None:
    def saga() -> Saga:
        made = Saga("shop", stack="dev")
        made.add_step("database", action=lambda: None, compensation=lambda: None)
        return made

    with somebody_else(tmp_path):
        await saga().execute()
    with pytest.raises(UntrustedJournalError):
        await saga().execute()
    assert (await saga().execute(trust=True)).state.name == "COMPLETED"
    assert (await saga().execute()).state.name == "COMPLETED"
