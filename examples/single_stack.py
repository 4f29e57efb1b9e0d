"""One stack alone, with retries and a deadline.

    python examples/single_stack.py
    alma-pulumi destroy examples/single_stack.py

A single stack needs no saga, and a saga of one step costs what `pulumi up` costs. What it adds:
retries, a deadline, the journal, and a half-made stack that is undone.
"""

from __future__ import annotations

from pathlib import Path

from alma import Retry, Saga
from stacks.local import database

saga = Saga("single-stack", stack="dev")
saga.add_stack(
    "database",
    program=database.program,
    config={"data_dir": str(Path.cwd() / ".alma" / "data" / "single-stack"), "rows": ["one"]},
    retry=Retry(attempts=3, delay=1.0, factor=2.0),  # tries 1, 2, 3; waits of 1 and 2 seconds
    timeout=300,  # seconds for each attempt
    # The default. With "retain" a failed stack is left as Pulumi would leave it, for you to look
    # at: the run ends FAILED and names each of its resources as a leftover.
    compensation="destroy",
)

if __name__ == "__main__":
    result = saga.run()
    database_outputs = result.outputs["database"]
    print(f"{result.state.name}: {database_outputs['url']}")
    print(f"password: {database_outputs['password']}")  # a Secret prints as [secret]
