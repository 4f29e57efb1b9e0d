"""A command that cannot be started has done nothing, whatever it is that does not start."""

from __future__ import annotations

from typing import Any

import pytest

from tests.steps.conftest import Place
from tests.steps.test_command import failed, saga_of, types, words


@pytest.mark.parametrize(
    ("content", "size", "said"),
    [
        ("\1", 1, "Exec format error"),
        ("#!/not/there\n", 1, "No such file or directory"),
        ("#!/bin/sh\n", 1 << 20, "Argument list too long"),
    ],
    ids=["no program", "no interpreter", "too much"],
)
@pytest.mark.parametrize("check", [True, False], ids=["checked", "unchecked"])
async def test_nothing_is_undone_of_what_could_not_be_started(
    content: str, size: int, said: str, check: bool, place: Place
) -> None:
    script = place.root / "broken.sh"
    script.write_text(content)
    script.chmod(0o755)
    options: dict[str, Any] = {"do": ["./broken.sh"], "secret_outputs": ...}
    options["inputs"] = {"NAME": "a" if size == 1 else "a" * size}
    if size > 1 or not check:
        options["check"] = ...  # it would be given as much
    result = await failed(saga_of(place, **options))
    assert result.error.message.endswith(f"it cannot be started: {said}")
    assert (result.state.name, result.leftovers) == ("COMPENSATED", ())
    called = words(place) if (place.root / "calls").exists() else []
    assert "undo" not in called
    assert "ProcessSpawned" in types(place)
