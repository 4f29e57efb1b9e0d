"""A stack with a SQLite database: a real file, a schema, rows, and a generated password.

Config, all optional: `path` (absolute; a directory, or a file ending in .db, .sqlite or .sqlite3),
`data_dir` (absolute), `greeting`, `rows` (a JSON list of strings).
Outputs: `path`, `url` (`sqlite:////absolute/path`), `password` (secret).
"""

from __future__ import annotations

import secrets
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

from stacks.local import files, store
from stacks.local.provider import LocalProvider, changed, known

GREETING = "Hello from the database"
ROWS = ("one row", "another row")


class DatabaseProvider(LocalProvider):
    """Creates, reads, updates and deletes the file. The id is its absolute path."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """The path must be absolute and fit into a URL; the rows must be strings."""
        failures = []
        path, rows = news["path"], news.get("rows", [])
        if known(path) and (not Path(path).is_absolute() or set(path) & set("?#%")):
            failures.append(CheckFailure("path", "must be absolute and without ?, # and %"))
        if known(rows) and not (isinstance(rows, list) and all(isinstance(r, str) for r in rows)):
            failures.append(CheckFailure("rows", "must be a list of strings"))
        return CheckResult(news, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Another path is another database. New contents, or a lost file, are mended in place."""
        olds, news = _olds, _news
        differs = changed(olds, news, ("path", "owner", "greeting", "rows"))
        replaces = [key for key in differs if key in ("path", "owner")]
        lost = not replaces and store.owner_of(Path(olds["path"])) != olds["owner"]
        return DiffResult(
            changes=bool(differs) or lost,
            replaces=replaces,
            # With the path unchanged, the new file would find the old one in its place.
            delete_before_replace="path" not in differs,
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the file whole or not at all."""
        path, password = Path(props["path"]), secrets.token_urlsafe(24)
        self._make(path, props, password)
        return CreateResult(str(path), self._outs(props, password))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What is in the file now; nothing when it is gone or somebody else's."""
        path = Path(id_)
        if store.owner_of(path) != props["owner"]:
            return ReadResult(None, {})
        greeting, *rows = store.messages(path) or [""]
        return ReadResult(id_, {**props, "greeting": greeting, "rows": rows})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Replace the rows; a lost file is made again with the same password."""
        olds, news, path = _olds, _news, Path(_id)
        if store.owner_of(path) == news["owner"]:
            store.fill(path, news["greeting"], news.get("rows", []))
        else:
            self._make(path, news, olds["password"])
        return UpdateResult(self._outs(news, olds["password"]))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Remove the file and see that it is gone. Another owner's database in its place stays."""
        path = Path(_id)
        if path.exists() and store.owner_of(path) not in (None, _props["owner"]):
            return
        store.remove(path)
        files.release_directory(path.parent)
        if path.exists():
            raise store.StoreError(f"database: {path} is still there after its removal")

    def _make(self, path: Path, props: dict[str, Any], password: str) -> None:
        files.make_directory(path.parent)
        try:
            store.create(path, props["owner"], password, props["greeting"], props.get("rows", []))
        except BaseException:
            files.release_directory(path.parent)
            raise

    def _outs(self, props: dict[str, Any], password: str) -> dict[str, Any]:
        return {**props, "url": f"sqlite:///{props['path']}", "password": password}


class Database(Resource, module="local", name="Database"):
    """A SQLite database file with messages, and a password that its readers must present."""

    path: pulumi.Output[str]
    url: pulumi.Output[str]
    password: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        path: pulumi.Input[str],
        greeting: pulumi.Input[str] = GREETING,
        rows: pulumi.Input[Sequence[pulumi.Input[str]]] = ROWS,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`path` is the absolute file; `greeting` is the first message, `rows` are the others."""
        super().__init__(
            DatabaseProvider(),
            name,
            {
                "path": path,
                "owner": f"{pulumi.get_project()}/{pulumi.get_stack()}/{name}",
                "greeting": greeting,
                "rows": rows,
                "url": None,
                "password": None,
            },
            pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions(additional_secret_outputs=["password"]), opts
            ),
        )


def program() -> None:
    """The stack: one database. Raises ValueError for a relative path."""
    config = pulumi.Config()
    data_dir = files.data_dir(config.get("data_dir"), pulumi.get_project(), pulumi.get_stack())
    configured = config.get("path")
    path = files.absolute(configured, "path") if configured else data_dir
    if path.suffix not in (".db", ".sqlite", ".sqlite3"):
        path = path / "database.sqlite"
    rows = config.get_object("rows")
    database = Database(
        "database",
        path=str(path),
        greeting=config.get("greeting") or GREETING,
        rows=list(ROWS) if rows is None else rows,
    )
    pulumi.export("path", database.path)
    pulumi.export("url", database.url)
    pulumi.export("password", pulumi.Output.secret(database.password))
