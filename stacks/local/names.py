"""A small name service: records by an HTTP API on the loopback interface, kept in a file.

    PUT    /records/NAME  {"target": ...}   201 new, 200 replaced; `Idempotency-Key` required
    GET    /records/NAME                    200 {"name", "target"} or 404
    DELETE /records/NAME                    200 or 404
    GET    /healthz                         200

A repeated key gives the first answer again and changes nothing, even after the record has been
deleted: a late duplicate does not bring it back. A key used for another request is 409.

Run it as `python -m stacks.local.names --port 0 --data FILE`, or from a program by `start` and
`stop`. `create_record`, `delete_record` and `lookup` are its client.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from stacks.local import files, web

KEYS_KEPT = 1000
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class NameServiceError(RuntimeError):
    """The name service cannot be reached, or refuses a request; one sentence says why."""


@dataclass(frozen=True)
class NameService:
    """A running name service: its `url`, and the process by pid and start time."""

    url: str
    pid: int
    start: float


def start(data: Path | str, port: int = 0) -> NameService:
    """Start the service as a process of its own; its records are in the file `data`.

    Returns when it answers. Raises stacks.local.process.ProcessError when it does not start.
    """
    from stacks.local import process  # the service itself runs without psutil

    file = Path(data).resolve()
    files.make_directory(file.parent)
    started = process.start(
        "stacks.local.names",
        label="names",
        log=_log(file),
        args=["--port", str(port), "--data", str(file)],
    )
    identity = started.identity
    return NameService(f"http://{web.HOST}:{started.port}", identity.pid, identity.start)


def stop(service: NameService, data: Path | str | None = None) -> None:
    """End the service's process; with `data`, remove its file and log too. Repeatable."""
    from stacks.local import process

    process.stop(process.Identity(service.pid, service.start))
    if data is not None:
        file = Path(data).resolve()
        file.unlink(missing_ok=True)
        _log(file).unlink(missing_ok=True)
        files.release_directory(file.parent)


def create_record(base_url: str, name: str, target: str, key: str) -> dict[str, Any]:
    """Point `name` at `target`; repeating it with the same `key` is safe.

    Returns `{"name", "target", "previous"}`: `previous` is the target replaced, or None. Raises
    NameServiceError.
    """
    body = json.dumps({"target": target}).encode()
    status, answer = _call("PUT", base_url, name, body, {"Idempotency-Key": key})
    if status not in (200, 201):
        raise NameServiceError(f"names: {name} was not created: {answer.get('error', status)}")
    return answer


def delete_record(base_url: str, name: str) -> None:
    """Remove `name`; one that is not there is a success. Raises NameServiceError."""
    status, answer = _call("DELETE", base_url, name)
    if status not in (200, 404):
        raise NameServiceError(f"names: {name} was not deleted: {answer.get('error', status)}")


def lookup(base_url: str, name: str) -> str | None:
    """The target of `name`, or None when there is no such record. Raises NameServiceError."""
    status, answer = _call("GET", base_url, name)
    if status not in (200, 404):
        raise NameServiceError(f"names: no answer for {name}: {answer.get('error', status)}")
    return str(answer["target"]) if status == HTTPStatus.OK else None


def _call(
    method: str,
    base_url: str,
    name: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    url = f"{base_url.rstrip('/')}/records/{quote(name, safe='')}"
    try:
        status, _, content = web.request(method, url, body=body, headers=headers)
        answer = json.loads(content)
    except (OSError, HTTPException) as error:
        raise NameServiceError(f"names: no answer from {base_url}: {web.reason(error)}") from error
    except ValueError as error:
        raise NameServiceError(f"names: {base_url} does not answer with JSON") from error
    return status, answer


def _log(file: Path) -> Path:
    return file.with_name(file.name + ".log")


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


if __name__ == "__main__":
    main()
