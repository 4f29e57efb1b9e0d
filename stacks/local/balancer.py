"""A stack with a load balancer: a proxy process over upstream servers.

Config: `upstreams` (a JSON list of URLs) is required; `port` (0: a free one), `health_path`
(`/healthz`; one that no upstream serves makes the deployment fail), `wait` (3; seconds in which an
upstream must be healthy), `data_dir` (absolute).
Outputs: `url`, `pid`.
"""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    UpdateResult,
)

from stacks.local import files, service, web
from stacks.local.process import Identity, ProcessError, alive, send, until
from stacks.local.provider import (
    LocalProvider,
    changed,
    check_directory,
    check_port,
    identity_of,
    known,
)
from stacks.local.proxy import STATUS_PATH


class BalancerProvider(LocalProvider):
    """Starts, reloads and stops the proxy. The id is the directory with its files."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """There must be upstreams, http URLs all of them."""
        failures = check_directory(news) + check_port(news)
        upstreams = news.get("upstreams")
        if known(upstreams) and not (
            isinstance(upstreams, list)
            and upstreams
            and all(not known(u) or str(u).startswith("http://") for u in upstreams)
        ):
            failures.append(CheckFailure("upstreams", "must be a list of http:// URLs, not empty"))
        if known(news["health_path"]) and not str(news["health_path"]).startswith("/"):
            failures.append(CheckFailure("health_path", "must begin with /"))
        return CheckResult(news, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another port or directory is another balancer. Upstreams change while it runs."""
        olds, news = _olds, _news
        replaces = changed(olds, news, ("directory", "owner", "port"))
        identity = identity_of(olds)
        return DiffResult(
            changes=bool(replaces or changed(olds, news, ("upstreams", "health_path", "wait")))
            or identity is None
            or not alive(identity),
            replaces=replaces,
            delete_before_replace=True,  # the two would share files or a port
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start the proxy; an upstream is healthy when this returns, all is gone if it raises."""
        return CreateResult(props["directory"], _start(props, int(props["port"])))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """The process as recorded; nothing when it is gone, and then its files go too."""
        identity = identity_of(props)
        if identity is None or not alive(identity):
            # Out of the state, no destroy would ever come to them.
            service.retire(Path(id_), props["owner"], identity)
            return ReadResult(None, {})
        return ReadResult(id_, dict(props))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Give the running proxy its new settings; the old ones again when they do not work."""
        olds, news, identity = _olds, _news, identity_of(_olds)
        if identity is None or not alive(identity):
            service.retire(Path(_id), olds["owner"], identity)
            return UpdateResult(_start(news, int(olds["bound_port"])))
        port = int(olds["bound_port"])
        try:
            _reload(identity, news, port)
        except ProcessError:
            _write_settings(olds, port)
            send(identity, signal.SIGHUP)
            raise
        return UpdateResult(_outs(news, identity, port))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Stop the process and see that it has ended; gone already is a success."""
        service.retire(Path(_id), _props["owner"], identity_of(_props))


def _start(props: dict[str, Any], port: int) -> dict[str, Any]:
    directory = Path(props["directory"])
    service.prepare(directory, props["owner"])
    generation = _write_settings(props, port)
    started = service.launch(
        "stacks.local.proxy",
        directory=directory,
        owner=props["owner"],
        args=["--settings", str(directory / service.SETTINGS)],
    )
    try:
        _wait_healthy(props, started.port, generation)
    except BaseException:
        service.retire(directory, props["owner"], started.identity)
        raise
    return _outs(props, started.identity, started.port)


def _reload(identity: Identity, props: dict[str, Any], port: int) -> None:
    generation = _write_settings(props, port)
    send(identity, signal.SIGHUP)
    _wait_healthy(props, port, generation)


def _write_settings(props: dict[str, Any], port: int) -> str:
    """Write the proxy's settings; the generation tells when the process has taken them."""
    generation = secrets.token_hex(8)
    keys = ("upstreams", "health_path")
    content = {**{k: props[k] for k in keys}, "port": port, "generation": generation}
    files.write_private(Path(props["directory"]) / service.SETTINGS, content)
    return generation


def _wait_healthy(props: dict[str, Any], port: int, generation: str) -> None:
    """Return when the proxy has the settings and a healthy upstream; else ProcessError."""
    seen: list[str] = []

    def healthy() -> bool:
        _, _, content = web.request("GET", f"http://{web.HOST}:{port}{STATUS_PATH}")
        status = json.loads(content)
        seen[:] = [upstream["last"] for upstream in status["upstreams"]]
        return status["generation"] == generation and any(
            upstream["healthy"] for upstream in status["upstreams"]
        )

    if not until(healthy, props["wait"]):
        raise ProcessError(
            f"balancer: none of {len(props['upstreams'])} upstreams answers "
            f"{props['health_path']} with 200 within {props['wait']:g} s: {', '.join(seen)}"
        )


def _outs(props: dict[str, Any], identity: Identity, port: int) -> dict[str, Any]:
    return {
        **props,
        "pid": identity.pid,
        "start": identity.start,
        "bound_port": port,
        "url": f"http://{web.HOST}:{port}",
    }


class Balancer(Resource, module="local", name="Balancer"):
    """One load balancer."""

    url: pulumi.Output[str]
    pid: pulumi.Output[int]

    def __init__(
        self,
        name: str,
        *,
        directory: pulumi.Input[str],
        upstreams: pulumi.Input[Sequence[pulumi.Input[str]]],
        port: pulumi.Input[int] = 0,
        health_path: pulumi.Input[str] = "/healthz",
        wait: pulumi.Input[float] = 3.0,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`directory` (absolute) takes the files; `wait` is in seconds; `port` 0 is a free one."""
        super().__init__(
            BalancerProvider(),
            name,
            {
                "directory": directory,
                "owner": f"{pulumi.get_project()}/{pulumi.get_stack()}/{name}",
                "upstreams": upstreams,
                "port": port,
                "health_path": health_path,
                "wait": wait,
                "bound_port": None,
                "pid": None,
                "start": None,
                "url": None,
            },
            opts,
        )


def program() -> None:
    """The stack: one balancer. Raises ValueError for a relative path."""
    config = pulumi.Config()
    data_dir = files.data_dir(config.get("data_dir"), pulumi.get_project(), pulumi.get_stack())
    balancer = Balancer(
        "balancer",
        directory=str(data_dir / "balancer"),
        upstreams=config.require_object("upstreams"),
        port=config.get_int("port", 0),
        health_path=config.get("health_path", "/healthz"),
        wait=config.get_float("wait", 3.0),
    )
    pulumi.export("url", balancer.url)
    pulumi.export("pid", balancer.pid)
