"""Which steps a selection means, and what a definition is without the others."""

from __future__ import annotations

from typing import Any

import pytest

from alma import DefinitionError, Saga
from alma.core.definition import Definition
from alma.core.selection import Selection, outside_of, part_of
from alma.steps.values import inputs_of


def _definition() -> Definition:
    """net → db → web-1, web-2 → dns; and jobs, which depends on nothing."""
    saga = Saga("shop")
    net = saga.add_stack("net", lambda: None)
    db = saga.add_stack("db", lambda: None, inputs={"net": net.output("id")})
    webs = [
        saga.add_stack(f"web-{n}", lambda: None, inputs={"url": db.output("url")}) for n in (1, 2)
    ]
    saga.add_step(print, "none", name="dns", after=webs, inputs={"net": net.output("id")})
    saga.add_step(print, "none", name="jobs", after=[])
    return saga.definition()


@pytest.mark.parametrize(
    ("asked", "up", "destroy"),
    [
        ({}, "net db web-1 web-2 dns jobs", "net db web-1 web-2 dns jobs"),
        ({"steps": ("db",)}, "net db", "db web-1 web-2 dns"),
        ({"steps": ("web-*",)}, "net db web-1 web-2", "web-1 web-2 dns"),
        ({"steps": ("web-*",), "exclusive": True}, "web-1 web-2", "web-1 web-2"),
        ({"from_steps": ("db",)}, "db web-1 web-2 dns", "db web-1 web-2 dns"),
        ({"from_steps": ("web-1",), "steps": ("jobs",)}, "web-1 dns jobs", "web-1 dns jobs"),
        ({"exclude": ("jobs",)}, "net db web-1 web-2 dns", "net db web-1 web-2 dns"),
        (
            {"steps": ("web-*",), "exclude": ("web-2",), "exclusive": True},
            "web-1",
            "web-1",
        ),
    ],
)
def test_what_a_selection_means(asked: dict[str, Any], up: str, destroy: str) -> None:
    """Named steps bring what they depend on; in a destroy, what depends on them."""
    selection, definition = Selection(**asked), _definition()
    assert selection.chosen(definition, "up") == tuple(up.split())
    assert selection.chosen(definition, "destroy") == tuple(destroy.split())


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"steps": ("api-*",)}, "up", '"api-*" is no step of saga "shop"'),
        ({"from_steps": ("nope",)}, "up", '--from "nope" is no step'),
        ({"exclude": ("nope",)}, "destroy", '--exclude "nope" is no step'),
        ({"exclude": ("db",)}, "up", 'step "web-1" comes after it'),
        ({"exclude": ("dns",)}, "destroy", 'it comes after "net"'),
        ({"exclude": ("*",)}, "up", "all are excluded"),
        ({"exclusive": True}, "up", "none is"),
    ],
)
def test_what_cannot_be_selected_is_told(asked: dict[str, Any], kind: Any, words: str) -> None:
    """With the name that is wrong."""
    with pytest.raises(DefinitionError) as caught:
        Selection(**asked).chosen(_definition(), kind)
    assert words in caught.value.message


def test_a_part_keeps_the_order_over_what_is_left_out_and_what_it_consumes() -> None:
    """`dns` waits for `net` through the two that are not there, and its input is still known."""
    part = part_of(_definition(), ["net", "dns"])
    assert part.step("dns").dependencies == ("net",)
    assert outside_of(part) == ()
    part = part_of(_definition(), ["web-1", "dns"])
    assert part.step("dns").dependencies == ("web-1",)
    assert outside_of(part) == ("db", "net")
    assert inputs_of(part.step("web-1"))["url"].step == "db"
    assert Definition.from_json(part.to_json()) == part


def test_a_whole_definition_is_not_changed_by_being_selected() -> None:
    """Its digest is that of every run before it."""
    whole = _definition()
    assert part_of(whole, [step.name for step in whole.steps]) is whole
    assert "outside" not in whole.to_json()["steps"][0]
