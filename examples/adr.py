"""A saga without Pulumi: four steps as plain callables, of which the third fails.

    python examples/adr.py

Each step makes a file, and its compensation removes it. At the end no file is left.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from alma import Saga, SagaFailed


async def main(directory: Path) -> None:
    """Run the saga, and show what each compensation leaves."""

    def create(name: str) -> Callable[[], None]:
        def do() -> None:
            (directory / name).write_text("up")
            print(f"created {name}")

        return do

    def delete(name: str) -> Callable[[], None]:
        def undo() -> None:
            # "Already gone" is a success: a compensation may be called twice.
            (directory / name).unlink(missing_ok=True)
            print(f"deleted {name}; still there: {listing(directory)}")

        return undo

    def create_load_balancer() -> None:
        (directory / "load-balancer").write_text("half made")
        raise ConnectionError("the load balancer's API does not answer.")

    saga = Saga(name="three-tier")
    saga.add_step("database", action=create("database"), compensation=delete("database"))
    saga.add_step("servers", action=create("servers"), compensation=delete("servers"))
    saga.add_step(action=create_load_balancer, compensation=delete("load-balancer"))
    saga.add_step("dns", action=create("dns"), compensation=delete("dns"))
    try:
        await saga.execute(journal=directory / "journal" / "journal.db")
    except SagaFailed as failed:
        print(failed)
        print(f"{failed.result.state.name}; orphans: {listing(directory)}")


def listing(directory: Path) -> str:
    """The names of the files that steps have made."""
    return ", ".join(sorted(path.name for path in directory.iterdir() if path.is_file())) or "none"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(Path(temporary)))
