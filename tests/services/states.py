"""Where stacks may keep their state, for tests that are the same over each: files, S3, Postgres.

What is kept is read here with neither alma nor the Pulumi CLI.
"""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.services.localstack import LocalStack


class States(Protocol):
    """A kind of backend; each trial has a place of its own in it, by name."""

    def url(self, name: str) -> str:
        """What PULUMI_BACKEND_URL is for that place; empty where it is not set."""
        ...

    def environment(self) -> dict[str, str]:
        """What the CLI needs besides."""
        ...

    def kept(self, name: str) -> dict[str, bytes]:
        """All that is kept there, by its path under `.pulumi/`."""
        ...


@dataclass(frozen=True)
class FileStates:
    """Trials' own `.alma/state`, in directories of their names under `root`."""

    root: Path

    def url(self, name: str) -> str:  # noqa: ARG002
        """The default."""
        return ""

    def environment(self) -> dict[str, str]:
        """Nothing."""
        return {}

    def kept(self, name: str) -> dict[str, bytes]:
        """All files."""
        root = self.root / name / ".alma" / "state" / ".pulumi"
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}


@dataclass(frozen=True)
class BucketStates:
    """Prefixes of one bucket. `endpoint` is what the CLI talks to: LocalStack, or a proxy."""

    localstack: LocalStack
    bucket: str
    endpoint: str

    def url(self, name: str) -> str:
        """With all that a service needs that is not Amazon's."""
        options = f"endpoint={self.endpoint}&s3ForcePathStyle=true&region={self.localstack.region}"
        return f"s3://{self.bucket}/{name}?{options}"

    def environment(self) -> dict[str, str]:
        """Credentials."""
        return {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def kept(self, name: str) -> dict[str, bytes]:
        """All objects."""
        client, prefix = self.client(), f"{name}/.pulumi/"
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {
            key.removeprefix(prefix): client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            for key in keys
        }

    def client(self) -> Any:
        """Of LocalStack itself, whatever is before it."""
        return self.localstack.client("s3")


@dataclass(frozen=True)
class TableStates:
    """Tables of one database. `server` is its URL, `through` the one that the CLI is given."""

    server: str
    through: str
    numbers: dict[str, int] = field(default_factory=dict)
    count: Any = field(default_factory=itertools.count)

    def table(self, name: str) -> str:
        """Names of tables are no text of anybody's."""
        return f"state_{self.numbers.setdefault(name, next(self.count))}"

    def url(self, name: str) -> str:
        """With the table's name."""
        return f"{self.through}&table={self.table(name)}"

    def environment(self) -> dict[str, str]:
        """Nothing: the password is in the URL."""
        return {}

    def kept(self, name: str) -> dict[str, bytes]:
        """All rows."""
        import psycopg

        prefix = f"{urlsplit(self.server).path.strip('/')}/.pulumi/"
        with psycopg.connect(self.server) as connection:
            rows = connection.execute(f"SELECT key, data FROM {self.table(name)}").fetchall()  # noqa: S608
        return {key.removeprefix(prefix): base64.b64decode(data["data"]) for key, data in rows}
