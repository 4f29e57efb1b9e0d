"""A definition as data: numbers stay as they were written, and the wrong type is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alma.core.definition import Definition, LocalStack, Retry, StepDefinition


def definition(**step: Any) -> Definition:
    one = StepDefinition(name="one", **{"kind": "stack", **step})
    return Definition(saga="s", stack="dev", steps=(one,), aws=LocalStack("http://localhost:1"))


def stored(plan: Definition) -> Any:
    return json.loads(json.dumps(plan.to_json()))


@pytest.mark.parametrize("delay", [1, 1.0, 0.5])
def test_a_number_comes_back_with_the_type_that_it_had(delay: float) -> None:
    """Else the digest were another, and `resume` would say that the saga has changed."""
    plan = definition(retry=Retry(delay=delay), timeout=60.0, settings={"deep": [{"n": delay}]})
    back = Definition.from_json(stored(plan))
    assert back == plan
    assert type(back.steps[0].retry.delay) is type(delay)
    assert type(back.steps[0].settings["deep"][0]["n"]) is type(delay)
    assert back.digest == plan.digest


def test_a_whole_number_and_one_with_a_fraction_are_two_definitions() -> None:
    one, other = (definition(retry=Retry(delay=delay)) for delay in (1, 1.0))
    assert one.digest != other.digest


def test_a_kind_of_somebody_else_is_kept_as_it_says() -> None:
    plan = definition(kind="acme.steps:Cluster", compensation="drain", project="acme")
    back = Definition.from_json(stored(plan))
    assert back == plan
    assert (back.steps[0].kind, back.steps[0].has_state) == ("acme.steps:Cluster", True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"timeout": "a minute"}, r"got `str` - at `\$.steps\[0\].timeout`"),
        ({"retry": {"attempts": 1.5}}, r"Expected `int`, got `float` - at `\$.steps\[0\].retry"),
        ({"colour": "red"}, r"unknown field `colour` - at `\$.steps\[0\]`"),
        ({"pivot": 1}, r"Expected `bool`, got `int` - at `\$.steps\[0\].pivot`"),
    ],
)
def test_an_unknown_or_mistyped_field_is_named_by_its_path(change: Any, says: str) -> None:
    data = stored(definition())
    data["steps"][0].update(change)
    with pytest.raises(ValueError, match=says):
        Definition.from_json(data)
