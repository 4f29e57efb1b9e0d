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

import json
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stacks.local import files, web


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


if __name__ == "__main__":
    from stacks.local import nameserver

    nameserver.main()
