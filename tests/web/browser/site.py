"""A journal with runs in it, and `alma-pulumi ui` over it: processes, as users have them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]

# Long names, markup in what is said, a leftover; a run that is complete; one of another saga.
RUNS = """
import sys
from alma import Saga, SagaFailed, Secret

def make():
    return {"url": "https://db.internal.example:5432/" + "long/" * 30, "key": Secret("hunter22")}

def stuck():
    raise RuntimeError("it is still in use by <b>somebody</b>")

def shop(fails):
    saga = Saga("shop", stack="dev")
    db = saga.add_step("database", action=make, compensation=stuck)
    for one in ("eu-west", "us-east"):
        code = "7" if fails and one == "us-east" else "0"
        talk = "import sys; print('asked for <i>two</i> servers'); sys.exit(int(sys.argv[1]))"
        saga.add_command(
            f"servers-of-the-region-{one}",
            do=[sys.executable, "-c", talk, code],
            undo=["true"],
            inputs={"url": db.output("url")},
            after=["database"],
        )
    return saga

shop(False).run()
mail = Saga("mail", stack="prod")
mail.add_step("box", action=lambda: None, compensation="none")
mail.run()
try:
    shop(True).run()
except SagaFailed as failed:
    print(failed.result.run_id)
"""


@dataclass(frozen=True)
class Site:
    """`url` lets in whoever has it; `failed` is the newest run of shop/dev."""

    url: str
    home: Path
    failed: str

    @property
    def origin(self) -> str:
        return self.url.partition("/?")[0]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


@contextmanager
def started(home: Path, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`alma-pulumi` in a directory, in a pipe; it is gone at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "alma", *words],
        cwd=home,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def served(home: Path, *words: str, **more: str) -> Iterator[Site]:
    """The pages of a journal that has been filled."""
    made = subprocess.run(
        [sys.executable, "-c", RUNS],
        cwd=home,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    with started(home, "ui", "--port", "0", *words, **more) as server:
        assert server.stdout is not None
        said = server.stdout.readline()
        assert "token=" in said, said + server.stdout.read()
        yield Site(said.split()[-1], home, made.stdout.split()[-1])
