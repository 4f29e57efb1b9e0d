"""The JSON Schema takes what the reader takes, and refuses what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from alma.errors import DefinitionError
from alma.saga.yaml.nodes import Source, compose
from alma.saga.yaml.reader import Reader
from alma.saga.yaml.references import Scope
from alma.saga.yaml.saga_file import read_step
from alma.saga.yaml.schema import ID, saga_schema
from alma.saga.yaml.tables import STEPS, forms, keys_of
from alma.steps.form import (
    Either,
    Flag,
    Form,
    Named,
    Number,
    Place,
    Record,
    Several,
    Shape,
    Text,
    Values,
    Whole,
)
from alma.steps.registry import KINDS
from tests.pages import ROOT
from tests.saga.shop import YAML

SCHEMA = saga_schema()
CHECKER = jsonschema.Draft7Validator(SCHEMA)


class Loader(yaml.SafeLoader):
    """With dates as texts, as alma has them."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith("timestamp")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

PAGES = re.findall(r"```yaml\n(name: .*?)```", (ROOT / "docs/yaml.md").read_text(), re.DOTALL)
EXAMPLES = [path.read_text() for path in sorted((ROOT / "examples").rglob("*.yaml"))]


def test_it_is_a_schema_of_every_kind_that_alma_has() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == ID
    assert set(forms()) == set(KINDS), "a kind has no form, by which it is written in YAML"


def test_it_takes_what_is_shown() -> None:
    for text in [YAML, *PAGES, *(text for text in EXAMPLES if "\nsteps:" in text)]:
        CHECKER.validate(yaml.load(text, Loader=Loader))  # noqa: S506 - a safe loader


WRONG_OR_RIGHT: list[Any] = [
    None, True, 3, 1.5, "", "a", "a:b", "a,b", "/a", "one", "none",
    [], ["a"], ["one"], [3], [{}], {}, {"a": 1}, {"attempts": 2}, {"method": "GET", "url": "/"},
]  # fmt: skip
STEP = jsonschema.Draft7Validator(
    {"definitions": SCHEMA["definitions"], "$ref": "#/definitions/step"}
)


def least(shape: Shape) -> Any:
    """What is right at a key of this shape."""
    if isinstance(shape, Either):
        return least(shape.of[0])
    if isinstance(shape, Record):
        return {name: least(key.shape) for name, key in shape.keys.items() if key.required}
    if isinstance(shape, Several):
        return [least(shape.of)]
    if isinstance(shape, Text):
        return (shape.choices or ("GET",))[0]
    return {Place: "a", Named: "a:b", Values: {}, Flag: True, Whole: 1, Number: 1.5}.get(
        type(shape), "one"
    )


def records(shape: Shape) -> list[Record]:
    parts = shape.of if isinstance(shape, Either) else (shape,)
    return [one for one in parts if isinstance(one, Record)]


def variants(kind: str, form: Form) -> Iterator[dict[str, Any]]:
    """Steps of a kind with each key left out, unknown, and with all sorts of values."""
    keys = keys_of(form)
    step = {name: least(key.shape) for name, key in keys.items() if key.required}
    step |= {name: least(keys[name].shape) for name in form.one_of[:1]}
    step |= {"name": "one", "kind": kind}
    yield step
    yield {**step, "unknown": "a"}
    yield {**step, **{name: least(keys[name].shape) for name in form.one_of}}
    yield from ({name: step[name] for name in step if name != out} for out in step)
    for name, key in keys.items():
        if name not in ("name", "kind"):
            choices = (
                [least(one) for one in getattr(key.shape, "of", ()) or ()]
                if isinstance(key.shape, Either)
                else [least(key.shape)]
            )
            yield from ({**step, name: value} for value in [*WRONG_OR_RIGHT, *choices])
        for record in records(key.shape):
            inner = least(record)
            yield from (
                {**step, name: {**inner, each: value}}
                for each in [*record.keys, "unknown"]
                for value in WRONG_OR_RIGHT
            )


def refusal(step: dict[str, Any]) -> str:
    """What the reader says of it; empty: it takes it."""
    source = Source(name="saga.yaml", directory=Path("/"))
    node = compose(source, json.dumps({STEPS: [step]}).encode()).value[0][1].value[0]
    try:
        read_step(Reader(Scope(source=source, steps=["one"])), node)
    except DefinitionError as error:
        return error.message
    return ""


@pytest.mark.parametrize("kind", sorted(forms()))
def test_it_agrees_with_the_reader_on_each_key_of_a_kind(kind: str) -> None:
    """But for the names of steps that there are, which no schema knows."""
    taken = 0
    for step in variants(kind, forms()[kind]):
        refused = refusal(step)
        if "no step is named" in refused:
            continue
        told = [error.message for error in STEP.iter_errors(step)]
        assert bool(refused) == bool(told), (step, refused, told)
        taken += not refused
    assert taken > 5
