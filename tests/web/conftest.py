"""A journal with runs in it."""

from __future__ import annotations

from typing import Any

import pytest

from alma import Saga, SagaFailed, Secret
from tests.web.client import HOSTILE


@pytest.fixture
def failed() -> str:
    """The id of a run that failed and could not be undone; another one is complete."""

    def make() -> dict[str, Any]:
        return {"url": "http://db", "password": Secret("hunter22")}

    def fail() -> None:
        raise RuntimeError(f"quota {HOSTILE} used up, hunter22")

    def stuck() -> None:
        raise RuntimeError("it is still in use")

    other = Saga("mail", stack="prod")
    other.add_step("box", action=lambda: None, compensation="none")
    other.run()
    saga = Saga("shop", stack="dev")
    saga.add_step("database", action=make, compensation=lambda: None)
    saga.add_step("servers", action=fail, compensation=stuck)
    with pytest.raises(SagaFailed) as raised:
        saga.run()
    return raised.value.result.run_id
