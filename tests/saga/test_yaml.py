"""A saga in YAML is the saga that Python would have made; reading it executes nothing."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from alma import Saga
from alma.errors import DefinitionError
from alma.reports.graph import mermaid
from alma.runner.binding import bind_saga, define, open_sessions
from alma.runner.settings import Settings
from alma.saga.given_values import Arguments
from alma.saga.target import load_saga, open_target
from alma.steps.by_path import ByPath
from alma.testing import FakeEngine
from tests.saga.shop import PARTS, YAML, in_python, text_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the saga is made of, and another working directory."""
    folder = tmp_path / "deploy"
    for name, text in {
        "saga.yaml": YAML,
        "parts.py": PARTS,
        "module/main.tf": 'variable "size" {}\nvariable "url" {}\n',
        "project/Pulumi.yaml": "name: own\nruntime: yaml\n",
        "site.yml": "- hosts: all\n",
        "unsite.yml": "- hosts: all\n",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setenv("PASSWORD", "hunter22")
    monkeypatch.setenv("TOKEN", "t0ken")
    monkeypatch.chdir(tmp_path)
    return folder


GIVEN = Arguments(texts={"token": "@env:TOKEN"})


def test_it_is_the_definition_that_python_makes_byte_for_byte(folder: Path) -> None:
    """And the graph of it; the functions that it names are imported by neither."""
    saga = load_saga("deploy/saga.yaml", GIVEN).saga
    there = saga.definition()
    assert "parts" not in sys.modules
    sys.path.append(str(folder))
    parts = import_module("parts")
    here = in_python(folder, parts).definition()
    assert text_of(there) == text_of(here)
    assert mermaid(there, frozenset()) == mermaid(here, frozenset())
    for mine, other in zip(saga.steps, in_python(folder, parts).steps, strict=True):
        mine.load()
        assert mine == other


@pytest.mark.asyncio
async def test_bound_for_a_run_its_digests_are_those_of_python(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a run that one has begun the other goes on with, and `--changed` sees no difference."""
    monkeypatch.setenv("ALMA_TERRAFORM", sys.executable)  # looked for, and not started

    async def bound(saga: Saga) -> Any:
        settings = Settings(engine=FakeEngine(), journal=folder / "journal.db")
        definition = define(saga, None)
        async with open_sessions(definition, settings, saga) as sessions:
            return bind_saga(saga, definition, sessions)

    there = await bound(load_saga("deploy/saga.yaml", GIVEN).saga)
    here = await bound(in_python(folder, sys.modules["parts"]))
    assert text_of(there.definition) == text_of(here.definition)
    assert there.definition.digest == here.definition.digest
    for name, adapter in there.adapters.items():
        known = dict.fromkeys(adapter.inputs, "known")
        mine, other = (one.given(known) for one in (adapter, here.adapters[name]))
        assert mine == other, name
    assert there.redactor("pw-hunter22 t0ken public-by-choice") == "[secret] [secret] [secret]"


def test_nothing_is_executed_until_a_run_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the module that it names, nor one beside it that shadows a library of alma's."""
    for name in ("canary", "yaml", "sitecustomize", "alma_canary"):
        (tmp_path / f"{name}.py").write_text("from pathlib import Path\nPath('sung').touch()\n")
    path = tmp_path / "saga.yaml"
    path.write_text(
        "name: s\nsteps:\n"
        "  - {name: a, kind: action, action: canary:sing, compensation: canary:hush}\n"
        "  - {name: b, kind: stack, program: canary:sing}\n"
    )
    monkeypatch.chdir(tmp_path)
    before = [*sys.path]
    saga = load_saga("saga.yaml").saga
    assert mermaid(saga.definition(), frozenset())
    assert (sys.path, "canary" in sys.modules) == (before, False)
    assert not Path("sung").exists()
    with pytest.raises(DefinitionError) as refused:
        saga.steps[0].load()
    assert "line 3, column 37: canary:sing cannot be imported: AttributeError" in str(refused.value)
    assert Path("sung").exists()
    sys.modules.pop("canary")


def test_a_path_is_relative_to_the_file_and_a_given_one_to_who_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "saga.yml").write_text(
        "name: s\nparams: {at: {type: path, default: here}, to: {type: path}}\n"
        "steps: [{name: a, kind: action, action: 'm:f', inputs: {at: '${params.at}', "
        "to: '${params.to}'}, watch: [pages]}]\n"
    )
    monkeypatch.chdir(tmp_path)
    step = load_saga("deploy/saga.yml", Arguments(texts={"to": "there"})).saga.steps[0]
    assert step.inputs == {"at": str(tmp_path / "deploy/here"), "to": str(tmp_path / "there")}
    assert step.watch == (str(tmp_path / "deploy/pages"),)


def test_parameters_are_those_of_a_function(tmp_path: Path) -> None:
    """Their types as Python spells them, their defaults, what is required and what is secret."""
    path = tmp_path / "saga.yaml"
    path.write_text(
        "name: s\nsteps: []\nparams:\n"
        "  a:\n"
        "  b: {type: integer, default: 3}\n"
        "  c: {type: array, items: {type: string, secret: true}}\n"
        "  d: {enum: [eu, us], default: eu, description: Where}\n"
        "  e: {type: number, default: null}\n"
        "  f: {type: object, items: {type: boolean}, default: {x: true}}\n"
        "  g: {type: path, default: data}\n"
        "  h: {type: string, pattern: '^v[0-9]+$'}\n"
    )
    found = [(p.name, p.spelled, p.required, p.secret) for p in open_target(str(path)).parameters]
    assert found == [
        ("a", "str", True, False),
        ("b", "int", False, False),
        ("c", "list[Secret]", True, True),
        ("d", "'eu' | 'us'", False, False),
        ("e", "float | None", False, False),
        ("f", "dict[str, bool]", False, False),
        ("g", "Path", False, False),
        ("h", "str", True, False),
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": "0"}, "count of saga.yaml must be a whole number (Expected `int` >= 1)"),
        ({"stack": "test"}, "stack of saga.yaml must be one of dev, prod, not 'test'"),
        ({"token": "plain"}, "token of saga.yaml is a secret, and was given in plain"),
        ({"nope": "1"}, "saga.yaml has no parameter 'nope'"),
    ],
)
def test_a_parameter_is_refused_as_a_function_refuses_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], words: str
) -> None:
    monkeypatch.chdir(folder)
    texts = {"token": "@env:TOKEN"} | given
    with pytest.raises(DefinitionError) as refused:
        load_saga("saga.yaml", Arguments(texts=texts))
    assert words in refused.value.message


def test_a_secret_is_in_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "hunter22")
    path = tmp_path / "saga.yaml"
    path.write_text(
        "name: s\nsteps:\n  - name: a\n    kind: action\n    action: m:f\n"
        "    inputs: {k: {secret: '${env.KEY}'}}\n    depends_on: ['${env.KEY}']\n"
    )
    with pytest.raises(DefinitionError) as refused:
        load_saga(str(path))
    assert "hunter22" not in f"{refused.value.message} {refused.value.hint}"
    assert "no step is named [secret]" in refused.value.message


def test_a_function_by_its_path_is_called_as_itself() -> None:
    named = ByPath("os.path:basename")
    assert (named("a/b"), named.__name__, named.load()) == ("b", "basename", os.path.basename)
    with pytest.raises(DefinitionError, match="os:sep is of type str, no function"):
        ByPath("os:sep").load()
