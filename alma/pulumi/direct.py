"""States in a bucket or a database, read without a process of the CLI, where that is proven.

Another client than the CLI's might look at another place: another account, another endpoint. So it
is believed in nothing before it has given, of the same stack, the very document that the CLI
exports, whose time is told to the nanosecond; and that a stack is not there only the CLI may say.
Whatever it cannot do, the CLI does as well.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from alma.core.redaction import without_credentials
from alma.pulumi.cli import PulumiCli
from alma.pulumi.engine import StackRef

Document = dict[str, Any]
Fetch = Callable[[str], bytes | None]
"""What is kept under a path there; None where that may be kept in another form as well."""

_OF_BUCKETS: Final = frozenset({"endpoint", "profile", "region", "s3ForcePathStyle"})
"""What of a URL of S3 is understood here; with anything else in it the CLI is asked."""
_OF_DATABASES: Final = frozenset(
    {"application_name", "connect_timeout", "sslcert", "sslkey", "sslmode", "sslrootcert"}
)
"""The same of Postgres: by others libpq may go to a standby, and Go's lib/pq not."""
_LEADING: Final = frozenset(
    {"PGHOSTADDR", "PGLOADBALANCEHOSTS", "PGOPTIONS", "PGSERVICE", "PGTARGETSESSIONATTRS"}
)
"""Variables that may do the same."""
_TABLE: Final = re.compile(r"[a-z_][a-z0-9_]*")
_PATIENCE: Final = 10
"""Seconds. The CLI is asked then, which waits as long as it likes."""


class DirectReads:
    """Of one backend, for as long as a run lasts. `url` is all of it, credentials too."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        self._fetch = _fetcher(url) if environ is os.environ else None
        self._is_proven = False

    def __repr__(self) -> str:
        return f"DirectReads(is_proven={self._is_proven})"

    async def take(self, reader: PulumiCli, ref: StackRef) -> Document | None:
        """The stack's deployment as it stands, by the shorter way that is sure."""
        mine = self._fetch is not None and not ref.options.env
        if mine and self._is_proven:
            found = await asyncio.to_thread(self._read, ref)
            if found is not None:
                return found
        told = await reader.deployment(ref, show_secrets=False)
        if mine and not self._is_proven and told is not None:
            self._is_proven = await asyncio.to_thread(self._read, ref) == told
            if not self._is_proven:
                self._fetch = None
        return told

    def _read(self, ref: StackRef) -> Document | None:
        """None for anything but a whole document."""
        if self._fetch is None:
            return None
        try:
            data = self._fetch(f".pulumi/stacks/{ref.project}/{ref.stack}.json")
            document = json.loads(data or b"")
            return {
                "version": document["version"],
                "deployment": document["checkpoint"]["latest"] or {},
            }
        except Exception:  # noqa: BLE001 - of clients of three parties; the CLI says what is wrong
            return None


def _fetcher(url: str) -> Fetch | None:
    if url.startswith("s3://"):
        return _bucket(url)
    return _table(url) if url.startswith("postgres://") else None


def _bucket(url: str) -> Fetch | None:
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query))
    if not asked.keys() <= _OF_BUCKETS or without_credentials(url) != url:
        return None
    prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
    clients: list[Any] = []

    def fetch(path: str) -> bytes | None:
        if not clients:
            clients.append(_client(asked))
        (client,) = clients
        place = {"Bucket": parts.netloc, "Prefix": prefix + path}
        listed = client.list_objects_v2(**place).get("Contents", [])
        if _other_forms(prefix + path) & {one["Key"] for one in listed}:
            return None
        answer = client.get_object(Bucket=parts.netloc, Key=prefix + path)
        content: bytes = answer["Body"].read()
        return content

    return fetch


def _client(asked: Mapping[str, str]) -> Any:
    import boto3
    from botocore.config import Config

    style = "path" if asked.get("s3ForcePathStyle") == "true" else "auto"
    session = boto3.session.Session(asked.get("profile"), region_name=asked.get("region"))
    return session.client(
        "s3",
        endpoint_url=asked.get("endpoint"),
        config=Config(
            s3={"addressing_style": style},
            connect_timeout=_PATIENCE,
            read_timeout=_PATIENCE,
            retries={"total_max_attempts": 1},
        ),
    )


def _table(url: str) -> Fetch | None:
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query))
    table = asked.pop("table", "pulumi_state")
    known = asked.keys() <= _OF_DATABASES and parts.hostname and "," not in parts.netloc
    if not known or _LEADING & os.environ.keys() or not _TABLE.fullmatch(table):
        return None
    asked.setdefault("connect_timeout", str(_PATIENCE))
    server = parts._replace(query=urlencode(asked)).geturl()
    prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""

    def fetch(path: str) -> bytes | None:
        from alma.system.postgres import BoundedConnection

        keys = [prefix + path, *_other_forms(prefix + path)]
        asking = f"SELECT key, data FROM {table} WHERE key = ANY(%s)"  # noqa: S608 - a name
        with BoundedConnection.connect(server) as connection:
            rows = connection.execute(asking.encode(), [keys]).fetchall()
        if [key for key, _ in rows] != keys[:1]:
            return None
        return base64.b64decode(rows[0][1]["data"])

    return fetch


def _other_forms(key: str) -> set[str]:
    """The same state, compressed; the CLI knows which is the newer one."""
    return {f"{key}.gz", f"{key}.zst"}
