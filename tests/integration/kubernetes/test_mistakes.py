"""Config of the stacks that makes no stack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from alma import Secret
from stacks.kubernetes import app, settings
from tests.pulumi.conftest import Place, directory, place  # noqa: F401 - fixtures

APP = {"namespace": "n", "image": "i"}
MISTAKES: list[tuple[Callable[[], None], dict[str, Any], str]] = [
    (app.program, {"image": "i"}, "namespace"),
    (app.program, {**APP, "replicas": -1}, "replicas must be 0 or more, not -1"),
    (app.program, {**APP, "port": 70000}, "port must be from 1 to 65535, not 70000"),
    (settings.program, {"namespace": "n", "data": {"A": 1}}, "data: A must be a string, not int"),
    (
        settings.program,
        {"namespace": "n", "secrets": Secret(["swordfish"])},
        "secrets must be a JSON object, not list",
    ),
]


async def test_config_that_makes_no_stack_is_told_in_one_sentence(
    place: Place,  # noqa: F811
    kubernetes_plugin: str,  # noqa: ARG001 - it must be there
) -> None:
    """What is secret in it is not told."""
    results = await asyncio.gather(
        *(
            place.up(program, stack=f"mistake-{number}", config=config)
            for number, (program, config, _) in enumerate(MISTAKES)
        )
    )
    for result, (_, _, said) in zip(results, MISTAKES, strict=True):
        assert result.failure is not None
        assert said in result.failure.message
        assert "Traceback" not in result.failure.message
        assert "swordfish" not in result.failure.message
