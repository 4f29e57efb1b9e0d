"""A stack with application processes that answer from the database.

Config: `db_url` and `db_password` (secret) are required; `count` (2), `base_port` (0: free ports;
otherwise server N listens on base_port + N), `data_dir` (absolute).
Outputs: `urls` and `pids`, lists in the servers' order.
"""

from __future__ import annotations

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

from stacks.local import files, service, store, web
from stacks.local.process import ProcessError, Started, alive
from stacks.local.provider import (
    LocalProvider,
    changed,
    check_directory,
    check_port,
    identity_of,
    known,
)


class ServerProvider(LocalProvider):
    """Starts, restarts and stops one process. The id is the directory with its files."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """The URL must be one of a SQLite file, the password must not be empty."""
        failures = check_directory(news) + check_port(news)
        try:
            if known(news["db_url"]):
                store.path_of(news["db_url"])
        except ValueError as error:
            failures.append(CheckFailure("db_url", str(error)))
        if not news["db_password"]:
            failures.append(CheckFailure("db_password", "must not be empty"))
        return CheckResult(news, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another port or directory is another server. The rest, or a death, is a restart."""
        olds, news = _olds, _news
        replaces = changed(olds, news, ("directory", "owner", "port"))
        identity = identity_of(olds)
        return DiffResult(
            changes=bool(replaces or changed(olds, news, ("db_url", "db_password")))
            or identity is None
            or not alive(identity),
            replaces=replaces,
            delete_before_replace=True,  # the two would share files or a port
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Start the process; it is ready when this returns, and gone when this raises."""
        return CreateResult(
            props["directory"], self._outs(props, _launch(props, int(props["port"])))
        )

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """The process as recorded; nothing when it is gone, and then its files go too."""
        identity = identity_of(props)
        if identity is None or not alive(identity):
            # Out of the state, no destroy would ever come to them.
            service.retire(Path(id_), props["owner"], identity)
            return ReadResult(None, {})
        return ReadResult(id_, dict(props))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Start it again with the new settings, on the port it had: its URL stays."""
        olds, news = _olds, _news
        service.retire(Path(_id), olds["owner"], identity_of(olds))
        try:
            started = _launch(news, int(olds["bound_port"]))
        except ProcessError:
            if news["port"] != 0:
                raise
            started = _launch(news, 0)  # somebody may have taken a free port meanwhile
        return UpdateResult(self._outs(news, started))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Stop the process and see that it has ended; gone already is a success."""
        service.retire(Path(_id), _props["owner"], identity_of(_props))

    def _outs(self, props: dict[str, Any], started: Started) -> dict[str, Any]:
        return {
            **props,
            "pid": started.identity.pid,
            "start": started.identity.start,
            "bound_port": started.port,
            "url": f"http://{web.HOST}:{started.port}",
        }


def _launch(props: dict[str, Any], port: int) -> Started:
    directory = Path(props["directory"])
    return service.launch(
        "stacks.local.app",
        directory=directory,
        owner=props["owner"],
        settings={
            "name": directory.name,
            "db_url": props["db_url"],
            "db_password": props["db_password"],
            "port": port,
        },
    )


class Server(Resource, module="local", name="Server"):
    """One application process."""

    url: pulumi.Output[str]
    pid: pulumi.Output[int]

    def __init__(
        self,
        name: str,
        *,
        directory: pulumi.Input[str],
        db_url: pulumi.Input[str],
        db_password: pulumi.Input[str],
        port: pulumi.Input[int] = 0,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`directory` (absolute) takes the process's files; `port` 0 is a free one."""
        super().__init__(
            ServerProvider(),
            name,
            {
                "directory": directory,
                "owner": f"{pulumi.get_project()}/{pulumi.get_stack()}/{name}",
                "db_url": db_url,
                "db_password": pulumi.Output.secret(db_password),
                "port": port,
                "bound_port": None,
                "pid": None,
                "start": None,
                "url": None,
            },
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(additional_secret_outputs=["db_password"]), opts
            ),
        )


def program() -> None:
    """The stack: `count` servers. Raises ValueError for a bad count or a relative path."""
    config = pulumi.Config()
    count, base_port = config.get_int("count", 2), config.get_int("base_port", 0)
    if count < 1:
        raise ValueError(f"count must be 1 or more, not {count}")
    data_dir = files.data_dir(config.get("data_dir"), pulumi.get_project(), pulumi.get_stack())
    db_url, db_password = config.require("db_url"), config.require_secret("db_password")
    servers = [
        Server(
            f"server-{number}",
            directory=str(data_dir / f"server-{number}"),
            db_url=db_url,
            db_password=db_password,
            port=base_port + number if base_port else 0,
        )
        for number in range(count)
    ]
    pulumi.export("urls", [server.url for server in servers])
    pulumi.export("pids", [server.pid for server in servers])
