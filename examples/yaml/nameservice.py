"""Starts and stops the name service of `three_tier.yaml`: functions that a saga in YAML names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alma import Context
from stacks.local import files, service


def start(context: Context) -> dict[str, Any]:
    """Start it; one that an earlier attempt left is replaced."""
    directory = _directory(context)
    started = service.launch(
        "stacks.local.names",
        directory=directory,
        owner=context.saga,
        args=["--data", str(directory / "records.json")],
    )
    return {"url": f"http://127.0.0.1:{started.port}", "pid": started.identity.pid}


def stop(context: Context) -> None:
    """Stop it and remove its files; gone already is a success."""
    directory = _directory(context)
    service.retire(directory, context.saga, None)
    (directory / "records.json").unlink(missing_ok=True)
    service.clear(directory)


def _directory(context: Context) -> Path:
    return files.data_dir(None, context.saga, "names")
