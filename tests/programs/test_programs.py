"""Two of the collection; `nox -s programs` plays all of them."""

from __future__ import annotations

import pytest

from tests.programs.collection import COLLECTION
from tests.programs.play import play
from tests.pulumi.conftest import directory, place  # noqa: F401 - fixtures
from tests.restore.conftest import Lab, lab  # noqa: F401 - fixtures

pytestmark = pytest.mark.lives


@pytest.mark.parametrize(("name", "mode"), [("imports", "step"), ("yaml: reads", "step")])
async def test_the_collection_is_played(lab: Lab, name: str, mode: str) -> None:  # noqa: F811
    (case,) = (case for case in COLLECTION if case.name == name)
    outcome = await play(case, mode, lab.place.root, lab.world)
    assert outcome.wrong == "", outcome
