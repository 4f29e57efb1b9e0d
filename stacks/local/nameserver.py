"""The name service's process; see stacks.local.names. Standard library only."""

from __future__ import annotations

import argparse
import json
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from stacks.local import files, web

KEYS_KEPT = 1000
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class Records:
    """The records and the answers given to keys, written to a file at each change."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        kept = files.read_json(file) or {"records": {}, "keys": {}}
        self.records: dict[str, str] = kept["records"]
        self._keys: dict[str, Any] = kept["keys"]

    def put(self, name: str, target: str, key: str) -> tuple[int, dict[str, Any]]:
        """Set a record; status and answer, the first ones again for a repeated key."""
        with self._lock:
            asked, given = [name, target], self._keys.get(key)
            if given is not None:
                if given["asked"] != asked:
                    return 409, {"error": "this idempotency key belongs to another request"}
                return given["status"], given["answer"]
            previous = self.records.get(name)
            status = 201 if previous is None else 200
            answer = {"name": name, "target": target, "previous": previous}
            self.records[name] = target
            self._keys[key] = {"asked": asked, "status": status, "answer": answer}
            while len(self._keys) > KEYS_KEPT:
                del self._keys[next(iter(self._keys))]
            self._write()
            return status, answer

    def delete(self, name: str) -> bool:
        """Remove a record; whether there was one."""
        with self._lock:
            there = self.records.pop(name, None) is not None
            if there:
                self._write()
            return there

    def _write(self) -> None:
        files.write_private(self._file, {"records": self.records, "keys": self._keys})


class Handler(web.JsonHandler):
    """The HTTP API over `Records`."""

    records: Records

    def name(self) -> str | None:
        """The record's name in the path; None, and a reply given, when there is no good one."""
        head, _, tail = self.path.partition("/records/")
        name = unquote(tail)
        if head == "" and _NAME.fullmatch(name):
            return name
        self.reply(400 if tail else 404, {"error": "the path is /records/NAME"})
        return None

    def do_GET(self) -> None:
        """Look a record up."""
        if self.path == "/healthz":
            self.reply(200, {"status": "ok"})
        elif (name := self.name()) is not None:
            target = self.records.records.get(name)
            if target is None:
                self.reply(404, {"error": f"there is no record {name}"})
            else:
                self.reply(200, {"name": name, "target": target})

    def do_PUT(self) -> None:
        """Set a record."""
        name, key = self.name(), self.headers.get("Idempotency-Key")
        if name is None:
            return
        try:
            target = json.loads(self.body())["target"]
        except (ValueError, KeyError, TypeError):
            target = None
        if not isinstance(target, str) or not target:
            self.reply(400, {"error": 'the body is {"target": "..."}'})
        elif not key:
            self.reply(400, {"error": "an Idempotency-Key header is required"})
        else:
            self.reply(*self.records.put(name, target, key))

    def do_DELETE(self) -> None:
        """Remove a record."""
        if (name := self.name()) is not None:
            there = self.records.delete(name)
            self.reply(200 if there else 404, {"name": name} if there else {"error": "no record"})


def main() -> None:
    """Run the service."""
    parser = argparse.ArgumentParser(prog="python -m stacks.local.names")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="the file with the records")
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    Handler.records = Records(args.data)
    web.run(Handler, args.port, args.ready_fd)
