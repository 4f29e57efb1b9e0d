"""A stand-in for the Pulumi CLI: the same files, locks, signals and exits, and no Go to start.

It keeps a file backend as Pulumi 3.259 does: `.pulumi/meta.yaml`, state by rename, a pending
operation in it while a resource is made, a lock file with pid and host. One SIGINT or SIGTERM:
the resource in flight is finished and recorded, exit 1. Two: it stops, exit 8. When an `up`
loses its language server (its parent) it ends after the resource in flight, as the real one does.
Of its events it tells the end alone.

`$STUB_WORLD` holds `plan.json` (what each project is to make, how slowly, what fails) and one
file in `things/` for each thing that exists at the "provider". It imports little: it is started
many thousand times. tests/faults/stub/test_agrees.py holds it to the real CLI.
"""

import json
import os
import signal
import socket
import sys
import time

WORLD = os.environ.get("STUB_WORLD", "")
ROOT = os.environ.get("PULUMI_BACKEND_URL", "").removeprefix("file://")
ROOT_TYPE = "pulumi:pulumi:Stack"
PROVIDER = "pulumi:providers:stub"
signals = 0


def on_signal(_number, _frame):
    """The first asks it to drain; at the second it stops where it is."""
    global signals  # noqa: PLW0603 - a signal handler has no other way
    signals += 1
    if signals > 1:
        unlock()
        os._exit(8)
    os.write(1, b"^C received; cancelling. To terminate immediately, press ^C again.\n")


def main(arguments):
    """One command; returns the exit code."""
    words = [word for word in arguments if not word.startswith("-")]
    command = " ".join(words[:2]) if words[:1] in (["stack"], ["config"]) else "".join(words[:1])
    if command == "version":
        print("v3.259.0")
        return 0
    note("cli")
    stack = arguments[arguments.index("--stack") + 1]
    with open("Pulumi.yaml") as file:
        project = next(line[6:].strip() for line in file if line.startswith("name: "))
    path = f"{ROOT}/.pulumi/stacks/{project}/{stack}.json"
    if command == "stack init":
        return init(path, stack)
    if command == "stack rm":
        return remove(path, stack)
    if not os.path.exists(path):
        return say(f"error: no stack named '{stack}' found", 6)
    if command not in ("up", "destroy"):
        return say(f"error: the stub knows no {command!r}", 1)
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    if not lock(project, stack):
        return say("error: the stack is currently locked by 1 lock(s).", 1)
    try:
        code = Update(project, stack, path).run(command)
        tell(
            arguments[arguments.index("--event-log") + 1],
            '{"sequence":0,"summaryEvent":{"resourceChanges":{}}}',
            '{"sequence":1,"cancelEvent":{}}',
        )
        return code
    finally:
        unlock()


class Update:
    """An `up` or a `destroy` under the lock."""

    def __init__(self, project, stack, path):
        self.project, self.stack, self.path = project, stack, path
        with open(f"{WORLD}/plan.json") as file:
            plan = json.load(file)
        self.plan, self.delay = plan["projects"][project], plan["delay"]
        self.gate, self.gated = plan.get("gate"), plan.get("at")
        with open(path) as file:
            self.document = json.load(file)
        self.latest = self.document["checkpoint"]["latest"]
        pending = self.latest.get("pending_operations") or []
        self.latest["pending_operations"] = [p for p in pending if p["type"] == "creating"]
        self.parent = os.getppid()

    def run(self, command):
        """Returns the exit code."""
        nth = count(f"{self.project}.{command}")
        fault = next((f for f in self.plan["faults"] if f["op"] == command and f["nth"] == nth), {})
        self.pause()
        if command == "up":
            self.put_root(None)
        own = (ROOT_TYPE, PROVIDER)
        held = [e["urn"] for e in self.latest["resources"] if e["type"] not in own]
        wanted = [self.urn(name) for name in self.plan["resources"]] if command == "up" else []
        work = [("creating", urn) for urn in wanted if urn not in held]
        work += [("deleting", urn) for urn in reversed(held) if urn not in wanted]
        if command == "up" and self.plan["resources"]:
            self.put_provider()
        for index, (kind, urn) in enumerate(work):
            if signals:
                return say("error: update canceled", 1)
            if command == "up" and os.getppid() != self.parent:
                return say("error: error reading from server: EOF", 255)
            if fault.get("after") == index:
                return say(f"error: {kind} {urn}: the provider refused it", 1)
            self.one(kind, urn, self.gate if index == self.gated else None)
        if "after" in fault and fault["after"] >= len(work):
            return say("error: the program failed", 1)
        if command == "up":
            self.put_root(self.plan["outputs"])
            if not wanted:
                rest = [e for e in self.latest["resources"] if e["type"] != PROVIDER]
                self.latest["resources"] = rest
        else:
            self.latest["resources"] = []
        self.write()
        self.pause()
        return 0

    def one(self, kind, urn, gate):
        """Write that it begins, do it, write that it is done."""
        entry = {"urn": urn, "type": "stub:index:Thing", "custom": True}
        thing = f"{WORLD}/things/{urn.replace('/', '_')}"
        operations = self.latest["pending_operations"]
        operations.append({"resource": entry, "type": kind})
        self.write()
        self.pause()
        while gate and not os.path.exists(gate):
            time.sleep(0.005)
        if kind == "creating":
            open(thing, "w").close()
        elif os.path.exists(thing):
            os.unlink(thing)
        self.pause()
        operations.pop()
        rest = [other for other in self.latest["resources"] if other["urn"] != urn]
        made = [{**entry, "id": f"id-{urn.rpartition('::')[2]}"}] if kind == "creating" else []
        self.latest["resources"] = rest + made
        self.write()

    def put_provider(self):
        """The default provider's entry: there before the first resource, gone after the last."""
        if any(entry["type"] == PROVIDER for entry in self.latest["resources"]):
            return
        urn = f"urn:pulumi:{self.stack}::{self.project}::{PROVIDER}::default"
        entry = {"urn": urn, "type": PROVIDER, "custom": True, "id": "default"}
        self.latest["resources"].append(entry)
        self.write()

    def put_root(self, outputs):
        """The stack's own entry, which holds its outputs."""
        rest = [entry for entry in self.latest["resources"] if entry["type"] != ROOT_TYPE]
        old = next((e for e in self.latest["resources"] if e["type"] == ROOT_TYPE), {})
        name = f"{self.project}-{self.stack}"
        root = {"urn": f"urn:pulumi:{self.stack}::{self.project}::{ROOT_TYPE}::{name}"}
        kept = old.get("outputs", {}) if outputs is None else outputs
        self.latest["resources"] = [{**root, "type": ROOT_TYPE, "outputs": kept}, *rest]

    def urn(self, name):
        """A resource's URN."""
        return f"urn:pulumi:{self.stack}::{self.project}::stub:index:Thing::{name}"

    def write(self):
        """As one: a reader sees the state before or after."""
        write(self.path, self.document)

    def pause(self):
        """A provider takes its time; a signal does not shorten it."""
        end = time.monotonic() + self.delay
        while (left := end - time.monotonic()) > 0:
            time.sleep(left)


def tell(address, *events):
    """Events to the worker's gRPC server, over bare HTTP/2: to import gRPC takes too long.

    One call with a stream of requests, as the CLI does it; whoever is to hear them may be gone.
    """
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    pairs = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/pulumirpc.Events/StreamEvents",
        ":authority": f"{host}:{port}",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    header = b"".join(b"\0" + sized(name) + sized(text) for name, text in pairs.items())
    messages = [b"\n" + sized(event) for event in events]
    body = b"".join(b"\0" + len(one).to_bytes(4, "big") + one for one in messages)
    try:
        with socket.create_connection((host, int(port)), 5) as connection:
            call = frame(4, 0, 0) + frame(1, 4, 1, header) + frame(0, 1, 1, body)
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + call)
            answer = connection.makefile("rb")
            while len(head := answer.read(9)) == 9:
                answer.read(int.from_bytes(head[:3], "big"))
                kind, flags = head[3], head[4]
                if kind == 4 and not flags & 1:
                    connection.sendall(frame(4, 1, 0))
                if kind == 1 and flags & 1:  # The trailers: all was heard.
                    return
    except OSError:
        return


def sized(text):
    """The length of a short text, and the text."""
    return bytes([len(text)]) + text.encode()


def frame(kind, flags, stream, content=b""):
    """One frame of HTTP/2."""
    front = len(content).to_bytes(3, "big") + bytes([kind, flags])
    return front + stream.to_bytes(4, "big") + content


def init(path, stack):
    """`stack init`."""
    if os.path.exists(path):
        return say(f"error: stack '{stack}' already exists", 1)
    # The layout is known before the first folder of stacks: a reader may come in between.
    os.makedirs(f"{ROOT}/.pulumi", exist_ok=True)
    meta = f"{ROOT}/.pulumi/meta.yaml"
    if not os.path.exists(meta):
        draft = f"{meta}.{os.getpid()}"
        with open(draft, "w") as file:
            file.write("version: 1\n")
        os.replace(draft, meta)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(
        path, {"version": 3, "checkpoint": {"latest": {"resources": [], "pending_operations": []}}}
    )
    return 0


def remove(path, stack):
    """`stack rm`: looks at resources only, as Pulumi does."""
    if not os.path.exists(path):
        return say(f"error: no stack named '{stack}' found", 6)
    with open(path) as file:
        resources = json.load(file)["checkpoint"]["latest"]["resources"]
    if any(entry["type"] != ROOT_TYPE for entry in resources):
        return say(f"error: '{stack}' still has resources; removal rejected", 1)
    os.unlink(path)
    return 0


mine = ""


def lock(project, stack):
    """Written, then looked at again: of two that race both may fail, and never both succeed."""
    global mine  # noqa: PLW0603 - what `unlock` needs in a signal handler
    folder = f"{ROOT}/.pulumi/locks/organization/{project}/{stack}"
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        return False
    mine = f"{folder}/{os.getpid()}-{time.time_ns()}.json"
    seconds = time.time()
    stamp = (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06}Z"
    )
    content = {"pid": os.getpid(), "username": "stub", "hostname": socket.gethostname()}
    write(mine, {**content, "timestamp": stamp})
    if len(os.listdir(folder)) > 1:
        unlock()
        return False
    return True


def unlock():
    """Only its own."""
    if mine and os.path.exists(mine):
        os.unlink(mine)


def write(path, document):
    """By rename."""
    draft = f"{os.path.dirname(path)}/../.{os.getpid()}.{os.path.basename(path)}"
    with open(draft, "w") as file:
        json.dump(document, file)
    os.replace(draft, path)


def count(name):
    """How often this was asked for, this time included."""
    with open(f"{WORLD}/{name}.count", "a") as file:
        file.write(".")
        return file.tell()


def note(role):
    """For whoever looks for processes to kill, and for what is left of them."""
    open(f"{WORLD}/pids/{role}-{os.getpid()}", "w").close()


def say(text, code):
    """To stderr, as the CLI does."""
    print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
