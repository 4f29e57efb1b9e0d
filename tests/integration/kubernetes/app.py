"""The saga of these tests: namespace, settings, app, ingress, as `stacks.kubernetes` has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from alma import Saga, Secret
from alma.core.result import Result, SagaEndedError
from stacks.kubernetes import app, ingress, namespace, settings

PASSWORD = "swordfish-and-chips"
STEPS = ("namespace", "settings", "app", "ingress")


def saga(
    name: str,
    provider: Mapping[str, str],
    *,
    labels: Mapping[str, str] | None = None,
    data: Mapping[str, str] | None = None,
    replicas: int = 2,
    host: str = "app.example.com",
    node_selector: Mapping[str, str] | None = None,
    ready_within: int = 300,
    undo_ingress: Callable[[], None] | None = None,
) -> Saga:
    """The application in the namespace `name`; `undo_ingress` is called before the undo."""
    made = Saga(name)
    space = made.add_stack(
        "namespace",
        program=namespace.program,
        config={**provider, "name": name, "labels": dict(labels or {"team": "blue"})},
    )
    values = made.add_stack(
        "settings",
        program=settings.program,
        config={
            **provider,
            "data": dict(data or {"LOG_LEVEL": "info"}),
            "secrets": Secret({"PASSWORD": PASSWORD}),
        },
        inputs={"namespace": space.output("name")},
    )
    front = made.add_stack(
        "app",
        program=app.program,
        config={
            **provider,
            "image": "nginx:1.27",
            "replicas": replicas,
            "ready_within": ready_within,
            **({"node_selector": dict(node_selector)} if node_selector else {}),
        },
        inputs={
            "namespace": space.output("name"),
            "config_map": values.output("config_map"),
            "secret": values.output("secret"),
            "digest": values.output("digest"),
        },
    )
    made.add_stack(
        "ingress",
        program=ingress.program,
        config={**provider, "host": host, "wait": False},
        inputs={
            "namespace": space.output("name"),
            "service": front.output("service"),
            "service_port": front.output("service_port"),
        },
        compensation=undo_ingress or "destroy",
    )
    return made


async def ended(run: Any) -> Result:
    """The result, however the run ended."""
    try:
        result: Result = await run
    except SagaEndedError as error:
        return error.result
    return result
