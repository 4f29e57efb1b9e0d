"""The table of snapshots: see `alma.journal.snapshots.SnapshotRows`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from alma.journal.postgres.connection import Database

_NEED: Final = "UPDATE snapshots SET needed_at = now() WHERE digest = %s RETURNING digest"
_PUT: Final = (
    "INSERT INTO snapshots (digest, content) VALUES (%s, %s) "
    "ON CONFLICT (digest) DO UPDATE SET needed_at = now()"
)
_OLDER: Final = "SELECT digest FROM snapshots WHERE needed_at <= now() - make_interval(secs => %s)"


class SnapshotTable:
    """Over the store's own session; the server's clock says what was needed when."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, digest: str, content: bytes) -> None:
        """See `SnapshotRows`. What is there already is not sent again."""
        what = "keep a snapshot"
        if not self._ask(what, _NEED, digest):
            self._ask(what, _PUT, digest, content)

    def get(self, digest: str) -> bytes | None:
        """See `SnapshotRows`."""
        query = "SELECT content FROM snapshots WHERE digest = %s"
        rows = self._ask("read a snapshot", query, digest)
        return bytes(rows[0][0]) if rows else None

    def need(self, digest: str) -> None:
        """See `SnapshotRows`."""
        self._ask("keep a snapshot", _NEED, digest)

    def digests(self, *, older: float = 0.0) -> set[str]:
        """See `SnapshotRows`."""
        return {str(row[0]) for row in self._ask("list the snapshots", _OLDER, older)}

    def remove(self, digest: str) -> str:
        """See `SnapshotRows`."""
        self._ask("remove a snapshot", "DELETE FROM snapshots WHERE digest = %s", digest)
        return self.where(digest)

    def where(self, digest: str) -> str:
        """See `SnapshotRows`."""
        return f"{digest} in {self._database.url}"

    def _ask(self, what: str, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        def question(connection: Any, _facts: Any) -> Sequence[tuple[Any, ...]]:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else ()

        return self._database.ask(what, question)
