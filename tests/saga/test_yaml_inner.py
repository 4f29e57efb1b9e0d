"""A saga in YAML as a step of another one: the same as Python makes, by a run and by its undo."""

from __future__ import annotations

import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from alma import Saga, SagaState, Secret
from alma.errors import DefinitionError
from alma.journal import open_journal
from alma.journal.reading import load_run
from alma.reports.graph import mermaid
from alma.runner import resume, rollback, up
from alma.runner.preview import preview
from alma.saga.given_values import Arguments
from alma.saga.target import load_saga
from alma.saga.unfold import unfolded
from alma.steps.saga.step import SagaStep
from alma.steps.values import code
from alma.testing import Crash, FakeEngine, FakeProgram, Fault
from tests.runner.helpers import ended, settings
from tests.saga.shop import text_of

C, X = SagaState.COMPLETED, SagaState.COMPENSATED

WORLD = """
name: world
params:
  token: {secret: true}
steps:
  - name: base
    kind: stack
    program: parts:program
  - name: regions
    kind: saga
    saga: inner/region.yaml
    for_each: [eu, us]
    item: name
    at_once: 1
    params: {token: "${params.token}", size: 3}
    inputs: {vpc: "${base.vpc}"}
  - name: dns
    kind: stack
    program: parts:program
    inputs: {eu: "${regions.eu.app.url}"}
"""
REGION = """
name: region
stack: ${params.name}
params:
  name: {enum: [eu, us, apac]}
  size: {type: integer, minimum: 1}
  token: {secret: true}
  home: {type: path, default: data}
steps:
  - name: net
    kind: stack
    program: parts:program
    project: net-${params.name}
    config: {size: "${params.size}", token: "${params.token}", home: "${params.home}"}
    inputs: {vpc: "${inputs.vpc}"}
  - name: app
    kind: stack
    program: parts:program
    project: app-${params.name}
    inputs: {id: "${net.id}"}
"""
PARTS = """
from alma import Saga

def program(): pass

def region(name):
    own = Saga("region", stack=name)
    own.add_stack("net", program=program, project=f"net-{name}", inputs={"vpc": own.input("vpc")})
    own.add_stack("app", program=program, project=f"app-{name}")
    return own

def shop():
    own = Saga("shop", stack="eu")
    own.add_stack("net", program=program, project="net-eu")
    return own
"""
FILE = "    saga: inner/region.yaml\n"
GIVEN = Arguments(texts={"token": "@env:TOKEN"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The saga's files, and another working directory."""
    folder = tmp_path / "deploy"
    (folder / "inner").mkdir(parents=True)
    (folder / "world.yaml").write_text(WORLD)
    (folder / "inner" / "region.yaml").write_text(REGION)
    (folder / "parts.py").write_text(PARTS)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    monkeypatch.setenv("TOKEN", "t0ken")
    monkeypatch.chdir(tmp_path)
    return folder


def world(folder: Path, *changes: tuple[str, str]) -> Saga:
    """Read anew, as another process would."""
    text = WORLD
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "world.yaml").write_text(text)
    return load_saga("deploy/world.yaml", GIVEN).saga


LATER = ("for_each: [eu, us]", "for_each: ${base.items}")
BY_FUNCTION = [
    (FILE, "    saga: parts:region\n"),
    ("    item: name\n", ""),
    ('    params: {token: "${params.token}", size: 3}\n', ""),
]


def engine(*faults: Fault) -> FakeEngine:
    programs = {"world-base": FakeProgram(outputs={"vpc": "vpc-1", "items": ["eu", "us"]})}
    for name in ("eu", "us"):
        programs[f"net-{name}"] = FakeProgram(resources=("n",), outputs={"id": f"net-{name}"})
        programs[f"app-{name}"] = FakeProgram(resources=("a",), outputs={"url": f"https://{name}"})
    return FakeEngine(programs, faults=faults)


def told(journal: Path) -> dict[str, SagaState]:
    with open_journal(journal, write=False) as reader:
        found = [load_run(reader, row.run) for row in reversed(reader.runs(limit=None))]
    return {run.definition.target: run.state for run in found}


def test_it_is_the_definition_that_python_makes_byte_for_byte(folder: Path) -> None:
    """Unfolded as well; what it names is imported by neither."""
    there = load_saga("deploy/world.yaml", GIVEN).saga
    graph, _ = unfolded(there)
    assert "parts" not in sys.modules
    program = import_module("parts").program

    def region(name: str) -> Saga:
        own = Saga("region", stack=name)
        home = str(folder / "inner" / "data")
        net = own.add_stack(
            "net",
            program=program,
            project=f"net-{name}",
            config={"size": 3, "token": Secret("t0ken"), "home": home},
            inputs={"vpc": own.input("vpc")},
        )
        own.add_stack(
            "app", program=program, project=f"app-{name}", inputs={"id": net.output("id")}
        )
        return own

    saga = Saga("world")
    base = saga.add_stack("base", program=program)
    inputs = {"vpc": base.output("vpc")}
    each = saga.add_saga("regions", region, for_each=["eu", "us"], at_once=1, inputs=inputs)
    saga.add_stack("dns", program=program, inputs={"eu": each.output("eu.app.url")})
    assert text_of(there.definition()) == text_of(saga.definition())
    assert text_of(graph) == text_of(unfolded(saga)[0])
    assert mermaid(graph, frozenset()) == mermaid(unfolded(saga)[0], frozenset())
    inner = [step.parts() for step in (there.steps[1], saga.steps[1])]
    for item, other in inner[1].items():
        assert text_of(inner[0][item].definition()) == text_of(other.definition())
        assert [step.inputs for step in inner[0][item].steps] == [s.inputs for s in other.steps]
        assert inner[0][item].steps[0].config == other.steps[0].config


def test_one_saga_alone_and_a_parameter_that_stands_in_the_middle(folder: Path) -> None:
    """Without for_each the step is that saga, as in Python."""
    params = '{token: "${params.token}", size: 3, name: apac}'
    saga = world(
        folder,
        ("    for_each: [eu, us]\n    item: name\n", ""),
        ('{token: "${params.token}", size: 3}', params),
        ("regions.eu.app", "regions.app"),
    )
    (part,) = saga.steps[1].parts().values()
    assert part.target == "region/apac"
    assert part.name == "region"


@pytest.mark.parametrize(
    "changes",
    [[], [LATER], BY_FUNCTION, [LATER, *BY_FUNCTION]],
    ids=["file", "later", "by", "both"],
)
async def test_undone_as_a_whole_by_the_journal_alone(folder: Path, changes: Any) -> None:
    """Read, it has imported nothing; a run makes the sagas, and who undoes them needs no file."""
    saga = world(folder, ("name: world", "name: world\non_failure: stop"), *changes)
    assert "parts" not in sys.modules
    journal = folder / "journal.db"
    fake = engine(Fault(project="world-dns", operation="up", after=1))
    await ended(up(saga, settings=settings(fake, journal)))
    assert told(journal) == {"world/dev": SagaState.FAILED, "region/eu": C, "region/us": C}
    assert b"t0ken" not in journal.read_bytes()
    shutil.rmtree(folder / "inner")
    (folder / "world.yaml").unlink()
    assert (await ended(rollback(settings=settings(fake, journal)))).state is X
    assert told(journal) == {"world/dev": X, "region/eu": X, "region/us": X}
    assert fake.world == {}


@pytest.mark.parametrize("changes", [[], [LATER]], ids=["file", "later"])
def test_the_step_is_another_one_when_its_file_changes(folder: Path, changes: Any) -> None:
    """As where a function has changed: `resume` asks then. A comment is no change."""

    def now(text: str) -> str:
        (folder / "inner" / "region.yaml").write_text(text)
        step = world(folder, *changes).steps[1]
        assert isinstance(step, SagaStep)
        return code(step.make)

    assert now(REGION) == now(f"# the same\n{REGION}") != now(REGION.replace("data", "other"))


@pytest.mark.parametrize("changes", [[], [LATER], BY_FUNCTION], ids=["file", "later", "by"])
async def test_another_process_reads_it_anew_and_goes_on(folder: Path, changes: Any) -> None:
    journal = folder / "journal.db"
    fake = engine(Fault(project="app-eu", operation="up", effect="crash", after=1))
    with pytest.raises(Crash):
        await up(world(folder, *changes), settings=settings(fake, journal))
    again = settings(fake.restarted(), journal)
    result = await ended(resume(saga=world(folder, *changes), settings=again))
    assert result.state is C
    assert told(journal) == {"world/dev": C, "region/eu": C, "region/us": C}


async def test_a_function_alone_is_called_by_a_run_and_by_a_preview(folder: Path) -> None:
    text = "name: world\nsteps: [{name: one, kind: saga, saga: 'parts:shop'}]\n"
    (folder / "world.yaml").write_text(text)
    saga = load_saga("deploy/world.yaml").saga
    assert saga.definition().steps[0].settings["targets"] == {}
    assert "parts" not in sys.modules
    journal, fake = folder / "journal.db", engine()
    found = await preview(saga, settings=settings(fake, journal))
    assert found.steps[0].foreseen.what == "saga shop/eu"
    saga = load_saga("deploy/world.yaml").saga
    result = await up(saga, settings=settings(fake, journal))
    assert result.outputs["one"] == {"net.id": "net-eu"}
    assert told(journal) == {"world/dev": C, "shop/eu": C}


WRONG = [
    ([("inner/region", "inner/nope")], "line 11, column 11: There is no file deploy/inner/nope"),
    ([(FILE, "    saga: parts.py\n")], "column 11: saga must be a saga's file (.yaml), or a func"),
    ([("    item: name\n", "")], "line 12, column 5: for_each of a file needs item."),
    ([("    for_each: [eu, us]\n", "")], "line 12, column 5: item is of for_each"),
    ([("item: name", "item: nam")], "column 11: deploy/inner/region.yaml has no parameter nam."),
    ([(", size: 3", "")], "line 11, column 11: deploy/inner/region.yaml needs the parameter size"),
    ([("size: 3", "size: 0")], "must be a whole number (Expected `int` >= 1), not 0"),
    ([("size: 3", "sizes: 3")], "line 15, column 13: deploy/inner/region.yaml has no parameter s"),
    ([("size: 3", "size: 3, name: eu")], "name is given by for_each already."),
    ([('"${params.token}"', "x")], "token of deploy/inner/region.yaml is a secret, and was given"),
    ([("[eu, us]", "[eu, asia]")], "line 12, column 15: The parameter name of deploy/inner/region"),
    ([("[eu, us]", "[eu, eu]")], 'line 12, column 15: Step "regions": for_each has "eu" twice.'),
    ([("[eu, us]", "${base}")], "${base} names no output."),
    ([("[eu, us]", "every ${base.items}")], "it stands alone."),
    (
        [("vpc: ", "vcp: ")],
        'column 11: Step "regions": saga "region" takes the input "vpc"',
    ),
    ([*BY_FUNCTION[:1]], "line 13, column 5: item is of a saga's file, and parts:region is a func"),
    ([("at_once: 1", "at_once: 0")], "line 14, column 14: Step"),
    ([("at_once: 1", "timeout: 1")], "a step of kind saga has no key timeout."),
]


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
def test_what_is_wrong_is_said_where_it_stands(folder: Path, changes: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        world(folder, *changes)
    assert refused.value.message.startswith("deploy/world.yaml, line ")
    assert words in refused.value.message
    assert "t0ken" not in refused.value.message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("${net.id}", "${nett.id}", ", line 20, column 19: ${nett.id}: no step is named nett."),
        ("project: app", "projekt: app", ", line 19, column 5: a step of kind stack has no key "),
        ("name: region", "nam: region", ", line 2, column 1: a saga has no key nam."),
    ],
)
def test_what_is_wrong_in_the_inner_file_is_said_there(
    folder: Path, old: str, new: str, words: str
) -> None:
    (folder / "inner" / "region.yaml").write_text(REGION.replace(old, new))
    with pytest.raises(DefinitionError) as refused:
        world(folder)
    assert refused.value.message.startswith(f"deploy/inner/region.yaml{words}")


@pytest.mark.parametrize("each", ["", ", for_each: [a], item: n", ", for_each: '${b.c}', item: n"])
def test_a_file_is_no_part_of_itself(folder: Path, each: str) -> None:
    """Not by way of another one either, and not by a link."""
    (folder / "link.yaml").symlink_to(folder / "a.yaml")
    for name, of in (("a", "b.yaml"), ("b", "link.yaml")):
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\nparams: {{n: {{default: x}}}}\nsteps:\n"
            "  - {name: b, kind: action, action: 'm:f'}\n"
            f"  - {{name: s, kind: saga, saga: {of}{each}}}\n"
        )
    with pytest.raises(DefinitionError) as refused:
        load_saga("deploy/a.yaml")
    words = "deploy/b.yaml, line 5, column 33: the saga deploy/link.yaml would be a part of itself."
    assert refused.value.message == words


def test_what_is_read_has_an_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files together have as many values as one may have, and ten levels."""
    monkeypatch.setattr("alma.saga.yaml.nodes.MOST", 1000)
    steps = "".join(
        f"  - {{name: s{n}, kind: saga, saga: N.yaml, params: {{n: '${{params.n}}{n}'}}}}\n"
        for n in range(9)
    )
    for n in range(12):
        text = f"name: s{n}\nstack: 'a${{params.n}}'\nparams: {{n: {{default: x}}}}\nsteps:\n"
        last = "  - {name: a, kind: action, action: 'm:f'}\n"
        more = steps.replace("N.yaml", f"{n + 1}.yaml") if n < 7 else last
        (folder / f"{n}.yaml").write_text(text + more)
    with pytest.raises(DefinitionError, match="more than 1000 values"):
        load_saga("deploy/0.yaml")
    one = "name: s\nsteps:\n  - {name: s, kind: saga, saga: N.yaml}\n"
    for n in range(12):
        (folder / f"{n}.yaml").write_text(one.replace("N.yaml", f"{n + 1}.yaml"))
    with pytest.raises(DefinitionError, match="more than 10 levels deep"):
        load_saga("deploy/0.yaml")
