"""What is known of a CloudFormation step before anything starts; and the same in YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alma import Saga, Secret
from alma.errors import DefinitionError
from alma.runner.preview import preview
from alma.saga.given_values import Arguments
from alma.saga.target import load_saga
from tests.steps.cloudformation.api import FakeCloudFormation
from tests.steps.cloudformation.tools import (
    SAGA,
    saga_of,
    template,
)
from tests.steps.conftest import Place


def test_the_same_in_yaml(place: Place) -> None:
    """A saga in YAML has the same definition as one in Python."""
    (place.root / "data.json").write_text(json.dumps(template("A")))
    (place.root / "saga.yaml").write_text(
        "name: shop\nsteps:\n"
        "- {name: first, kind: cloudformation, template: data.json, stack_name: one}\n"
        "- {name: data, kind: cloudformation, template: data.json, region: eu-test-1,\n"
        "   capabilities: [CAPABILITY_IAM], parameters: {Mode: '${first.Mode}',\n"
        "   Password: {secret: {plain: x}}}}\n"
    )
    there = load_saga("saga.yaml", Arguments()).saga
    here = Saga("shop")
    first = here.add_cloudformation("first", "data.json", stack_name="one")
    here.add_cloudformation(
        "data",
        Path("data.json"),
        region="eu-test-1",
        capabilities=["CAPABILITY_IAM"],
        parameters={"Mode": first.output("Mode"), "Password": Secret("x")},
    )
    assert there.definition() == here.definition()
    assert there.steps[1].inputs == here.steps[1].inputs
    assert there.steps[1].parameters == here.steps[1].parameters  # type: ignore[attr-defined]


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no file": ("nowhere.yaml", {}, "nowhere.yaml cannot be read"),
    "no YAML": ("Resources:\n  A: [", {}, "line 2, column 7"),
    "nothing in it": ({"Resources": {}}, {}, "has no Resources"),
    "a secret in it": ({"Resources": {"A": Secret("x")}}, {}, "holds a Secret"),
    "an unknown parameter": (template("A"), {"parameters": {"Size": 1}}, "no parameter"),
    "a secret to be shown": (template("A"), {"parameters": {"Mode": Secret("x")}}, "be shown"),
    "a name": (template("A"), {"stack_name": "a_b"}, "cannot be the name"),
    "too large": ({"Resources": {"A": "x" * 60_000}}, {}, "51200 bytes"),
    "a capability": (template("A"), {"capabilities": "IAM"}, "CAPABILITY_IAM"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_right_is_refused_in_a_sentence(case: str) -> None:
    given, options, words = BAD[case]
    with pytest.raises(DefinitionError, match=words):
        Saga("shop").add_cloudformation("data", given, **options)


async def test_a_template_that_cloudformation_does_not_take() -> None:
    """It is asked before anything starts."""
    saga = Saga("shop")
    ran: list[str] = []
    saga.add_step(lambda: ran.append("x"), "none", name="first")
    saga.add_cloudformation("data", {"Resources": {"A": {"Type": "Thing"}}})
    with pytest.raises(DefinitionError, match="has no type"):
        await saga.execute()
    assert ran == []


async def test_a_preview_changes_nothing(aws: FakeCloudFormation) -> None:
    """By a change set that is taken back, with the stack that there was for it alone; and drift."""
    foreseen = await preview(saga_of("A", "B", B="Retain"))
    [seen] = foreseen.steps
    assert seen.foreseen.changes == {"create": 2}
    assert [one.urn for one in seen.foreseen.at_risk] == ["B"]
    assert (aws.world, aws.change_sets) == (set(), {})
    await saga_of("A").execute()
    assert len(aws.stacks) == 2
    aws.drifted = {"A": "MODIFIED"}
    foreseen = await preview(saga_of("A", size="2"))
    [seen] = foreseen.steps
    assert seen.foreseen.changes == {"update": 1}
    assert "A was modified by somebody" in seen.foreseen.warnings[0]


def test_boto3_is_missing(place: Place) -> None:
    """One sentence, with the way out."""
    (place.root / "saga.py").write_text(SAGA)
    (place.root / "sitecustomize.py").write_text(
        "import importlib.util as util\nreal = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'boto3' else real(name, *a)\n"
    )
    root = Path(__file__).parents[3]
    code, said = place.alma("up", "saga.py", "--yes", PYTHONPATH=f"{place.root}:{root}")
    assert code == 2, said
    assert "pip install 'alma-pulumi[cloudformation]'" in said
    assert "Traceback" not in said
