"""What alma does, shown and checked on this machine in about 20 seconds: `nox -s demo`.

It types the commands that you would type, in a directory of its own that it removes at the end.
Each expectation is checked; the exit code is 1 when one does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from stacks.local import names, web

HERE = Path(__file__).resolve().parent
GOOD, BAD = "examples/three_tier.py", "examples/three_tier_failing.py"
STACKS = ("database", "servers", "balancer")
# The demo uses no login, backend or passphrase of yours.
FOREIGN = ("PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


class Demo:
    """Types commands in a working directory, and counts the expectations that do not hold."""

    def __init__(self, work: Path) -> None:
        self.work, self.failures, self.seen = work, 0, ""
        self.env = {k: v for k, v in os.environ.items() if k not in FOREIGN}
        self.env.pop("PULUMI_BACKEND_URL", None)
        self.env["XDG_STATE_HOME"] = str(work / "xdg-state")

    def call(self, *words: str) -> tuple[int, str]:
        """A command, quietly: its exit code and its output."""
        command = list(words)  # `alma-pulumi` is the one that is installed beside this Python
        if words[0] == "alma-pulumi":
            beside = shutil.which("alma-pulumi", path=str(Path(sys.executable).parent))
            command[:1] = [beside] if beside else [sys.executable, "-m", "alma"]
        child = subprocess.Popen(
            command,
            cwd=self.work,
            env=self.env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if "--json" not in words else subprocess.DEVNULL,
        )
        try:
            output, _ = child.communicate()
        except KeyboardInterrupt:
            show("\nInterrupted. alma got the signal as well and undoes what it started: waiting.")
            child.communicate()
            raise
        return child.returncode, output

    def type(self, line: str, *, only: Sequence[str] = (), exit_code: int = 0) -> None:
        """A command as a person types it, and what it prints, or the lines with any of `only`."""
        show(f"\n$ {line}" + (f" | grep -E '{'|'.join(only)}'" if only else ""))
        ended, output = self.call(*line.split())
        self.seen += output
        for text in output.splitlines():
            if not only or any(word in text for word in only):
                show(f"  {text}".rstrip())
        self.expect(f"exit code {exit_code}", ended == exit_code, ended)

    def expect(self, what: str, holds: bool, seen: object = "") -> None:  # noqa: FBT001
        """Say whether it holds."""
        self.failures += not holds
        show(f"  ok: {what}" if holds else f"  NOT SO: {what}; seen: {seen}")

    def answer(self, *words: str) -> Any:
        """What a command answers with --json."""
        return json.loads(self.call("alma-pulumi", *words, "--json")[1])


def show(text: str) -> None:
    """Print at once, so that a pipe shows the demo as it goes on."""
    print(text, flush=True)


def title(text: str) -> None:
    """A heading."""
    show(f"\n{text}\n{'=' * len(text)}")


def page(url: str) -> Any:
    """What a GET of it gives."""
    return json.loads(web.request("GET", url)[2])


def processes_of(directory: Path, pids: Sequence[int]) -> list[str]:
    """Of these processes, and of those that have the directory on their command line: who lives."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        ours = process.pid in pids and "stacks.local" in words
        if (ours or str(directory) in words) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(f"{process.pid} {words}")
    return found


def started_pids(demo: Demo, run: str) -> list[int]:
    """The pids among the outputs that the run's journal holds."""
    outputs = [event.get("outputs") or {} for event in demo.answer("history", run)]
    lists = [[given.get("pid", 0), *given.get("pids", ())] for given in outputs]
    return [pid for pids in lists for pid in pids if pid]


def nothing_left(demo: Demo, saga: str, pids: Sequence[int], *, records: bool) -> None:
    """Look for what the saga has made: processes, files, resources, Pulumi's own records."""
    data = demo.work / ".alma" / "data" / saga
    alive = processes_of(data, pids)
    demo.expect(
        f"its processes are gone ({len(pids)} looked for by pid)", pids and not alive, alive
    )
    demo.expect("its files are gone", not data.exists(), data)
    stacks = demo.work / ".alma" / "state" / ".pulumi" / "stacks"
    states = [path for tier in STACKS for path in stacks.glob(f"{saga}-{tier}/*.json")]
    if records:
        held = [r["urn"] for path in states for r in resources(path)]
        demo.expect(
            "its three stacks hold no resource", len(states) == len(STACKS) and not held, held
        )
    else:
        demo.expect("its stacks are gone from Pulumi's state", not states, states)


def resources(state: Path) -> list[dict[str, Any]]:
    """The resources in a stack's state file, its root left out."""
    latest = json.loads(state.read_text())["checkpoint"].get("latest") or {}
    return [r for r in latest.get("resources", ()) if r["type"] != "pulumi:pulumi:Stack"]


def tell(demo: Demo) -> None:
    """The demo itself."""
    title("1. Up: database, servers, balancer (Pulumi stacks) and a DNS record (an API call)")
    demo.type(f"alma-pulumi up {GOOD}")
    if demo.failures:
        return
    first = demo.answer("status", "latest")
    url, service = first["outputs"]["balancer"]["url"], first["outputs"]["names"]["url"]
    pids = started_pids(demo, first["run"])
    show(f"\nGET {url}, the balancer")
    body = page(url)
    show(f"  {json.dumps(body)}")
    demo.expect("the row comes from the database", "one row" in body.get("messages", ()), body)
    demo.expect("DNS points to the balancer", names.lookup(service, "www") == url)
    demo.type("alma-pulumi status latest", only=("Saga", "State", "COMPLETED"))
    demo.expect("the password is in no file and in no output in plain", password_hidden(demo))

    title("2. The same with a balancer that fails: everything it started is undone")
    demo.type(f"alma-pulumi up {BAD}", exit_code=4)
    second = demo.answer("status", "latest")
    demo.expect("the run is COMPENSATED", second["state"] == "COMPENSATED", second["state"])
    demo.expect("it names no leftover", not second["leftovers"], second["leftovers"])
    nothing_left(demo, "three-tier-failing", started_pids(demo, second["run"]), records=False)
    demo.expect("the first deployment still serves its page", "one row" in page(url)["messages"])

    title("3. The journal: each intent was committed before anything was done")
    demo.type("alma-pulumi history latest", only=("Intended", "Failed", "Compensat"))
    demo.type("alma-pulumi runs")

    title("4. Down again")
    demo.type(f"alma-pulumi destroy {GOOD}")
    nothing_left(demo, "three-tier", pids, records=True)
    demo.type("alma-pulumi verify")


def password_hidden(demo: Demo) -> bool:
    """Ask Pulumi for the database's password, and look for it in all that there is."""
    env = demo.env | {
        "PULUMI_BACKEND_URL": (demo.work / ".alma" / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(demo.work / ".alma" / "passphrase"),
    }
    command = (
        "pulumi stack output password --show-secrets --stack organization/three-tier-database/dev"
    )
    shown = subprocess.run(
        command.split(), cwd=demo.work, env=env, capture_output=True, text=True, check=False
    )
    password = shown.stdout.strip()
    contents = [path.read_bytes() for path in demo.work.rglob("*") if path.is_file()]
    found = any(password.encode() in content for content in contents)
    return bool(password) and password not in demo.seen and not found


def take_down(demo: Demo, *, keep: bool) -> None:
    """Whatever happened: nothing of the demo stays, or it is said where it is."""
    data = demo.work / ".alma" / "data"
    for saga in (GOOD, BAD):
        if (data / Path(saga).stem.replace("_", "-")).exists():
            demo.call("alma-pulumi", "destroy", saga)
    left = list(data.rglob("*"))
    if not left and not keep:
        shutil.rmtree(demo.work)
    demo.expect("the working directory is removed", keep or not demo.work.exists(), left)


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the working directory")
    keep = parser.parse_args().keep
    work = Path(tempfile.mkdtemp(prefix="alma-demo-"))
    demo = Demo(work)
    shutil.copytree(HERE, work / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    show(f"Working in {work}, with a copy of the examples.")
    try:
        tell(demo)
    finally:
        take_down(demo, keep=keep)
    if demo.failures:
        show(f"\n{demo.failures} expectations did not hold.")
        return 1
    show("\nAll as expected. What to try next:")
    example = os.path.relpath(HERE / "three_tier.py")
    for command, what in NEXT:
        show(f"  {command.format(example=example)}  # {what}")
    return 0


NEXT: Sequence[tuple[str, str]] = (
    ("alma-pulumi preview {example}", "what up would do, and how it would be undone"),
    ("alma-pulumi up {example}", "press Ctrl-C half way, then:"),
    ("alma-pulumi status", "how it stands, and how to go on"),
    ("alma-pulumi doctor", "whether all that alma needs is here"),
)

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
