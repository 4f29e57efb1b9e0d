"""A saga that cannot be a step, or that lacks what it takes, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alma import DefinitionError, Saga
from alma.runner import up
from tests.runner.helpers import program, settings
from tests.steps.test_saga import engine, region


def refused() -> dict[str, tuple[Any, str]]:
    def alone(**inputs: Any) -> None:
        Saga("outer").add_saga("part", region("eu"), inputs=inputs)

    def itself() -> None:
        saga = Saga("s")
        saga.add_stack("a", program=program)
        saga.add_saga("part", saga)

    def each(items: Any) -> None:
        Saga("outer").add_saga("part", region, for_each=items, inputs={"vpc": "v"})

    def same() -> None:
        Saga("outer").add_saga(
            "part", lambda _: region("eu"), for_each=["a", "b"], inputs={"vpc": "v"}
        )

    def twice() -> None:
        saga = Saga("outer")
        saga.add_saga("a", region("eu"), inputs={"vpc": "v"})
        saga.add_saga("b", region("eu"), inputs={"vpc": "v"})

    return {
        "an input is missing": (alone, 'takes the input "vpc", and is not given it'),
        "an input too many": (lambda: alone(vpc="v", more=1), 'takes the input "more"'),
        "itself": (itself, "would be a part of itself"),
        "no list": (lambda: each("eu"), "for_each takes a list of names"),
        "an item twice": (lambda: each(["eu", "eu"]), 'has "eu" twice'),
        "no name": (lambda: each(["e/u"]), "cannot be the name"),
        "one target": (same, "are the same saga, region/eu"),
        "one target, two steps": (twice, 'are the same saga "region/eu"'),
    }


@pytest.mark.parametrize("what", refused())
def test_what_cannot_be_is_refused_where_it_is_written(what: str) -> None:
    make, message = refused()[what]
    with pytest.raises(DefinitionError, match=message):
        make()


async def test_alone_it_lacks_what_it_is_given(journal: Path) -> None:
    with pytest.raises(DefinitionError, match='takes the input "vpc", and nothing gives it'):
        await up(region("eu"), settings=settings(engine(), journal))
