"""A small CloudFormation over HTTP, for what LocalStack does not do as AWS does.

It has the states, events and rules of AWS's own as its API reference tells them: rollbacks,
resources that a delete skips or fails at, termination protection, client tokens. A stack goes one
step further with each DescribeStacks, so nothing depends on time. What it makes are entries of
`world`.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

NOW = "2026-01-01T00:00:00Z"
ACCOUNT = "123456789012"


class RefusalError(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Made:
    """A stack."""

    name: str
    id: str
    status: str = "REVIEW_IN_PROGRESS"
    template: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    events: list[dict[str, str]] = field(default_factory=list)
    change_set: str = ""
    updated: int = 0
    protected: bool = False
    token: str = ""
    steps: list[Callable[[], None]] = field(default_factory=list)
    previous: tuple[dict[str, Any], dict[str, str]] = ({}, {})


class FakeCloudFormation:
    """`broken` are (verb, resource) that fail, verb being create, update, delete or rollback."""

    def __init__(self) -> None:
        self.world: set[str] = set()
        self.stacks: list[Made] = []
        self.change_sets: dict[str, dict[str, Any]] = {}
        self.broken: set[tuple[str, str]] = set()
        self.frozen = False
        self.drifted: dict[str, str] = {}
        self.differences: dict[str, dict[str, str]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.before: Callable[[str, dict[str, str]], None] = lambda _action, _given: None
        """Called with each request; may raise RefusalError, or Lost."""
        self.after: Callable[[str, dict[str, str]], None] = lambda _action, _given: None
        self.url = ""
        self._lock = threading.RLock()

    # -- the machinery -----------------------------------------------------------------------

    def stack(self, name: str) -> Made:
        """By name, of those that are not deleted; or by id."""
        for one in reversed(self.stacks):
            if one.id == name or (one.name == name and one.status != "DELETE_COMPLETE"):
                return one
        raise RefusalError("ValidationError", f"Stack with id {name} does not exist")

    def answer(self, action: str, given: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            self.asked.append((action, given))
            self.before(action, given)
            found: dict[str, Any] = getattr(self, f"on_{action}")(given) or {}
            self.after(action, given)
            return found

    def told(self, stack: Made, status: str, name: str = "", reason: str = "") -> None:
        held = stack.resources.get(name, {})
        if name:
            held["status"] = status
        else:
            stack.status = status
        event = {
            "StackId": stack.id,
            "StackName": stack.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": name or stack.name,
            "PhysicalResourceId": held.get("id", "") if name else stack.id,
            "ResourceType": held.get("type", "") if name else "AWS::CloudFormation::Stack",
            "Timestamp": NOW,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "ClientRequestToken": stack.token,
        }
        stack.events.append(event)

    def _make(self, stack: Made, name: str, wanted: dict[str, Any]) -> bool:
        held = {"type": wanted["Type"], "wanted": self._resolved(stack, wanted)}
        stack.resources[name] = held
        self.told(stack, "CREATE_IN_PROGRESS", name)
        if ("create", name) in self.broken:
            self.told(stack, "CREATE_FAILED", name, f"no room for {name}")
            return False
        held["id"] = f"{name}-{uuid.uuid4().hex[:6]}"
        self.world.add(held["id"])
        self.told(stack, "CREATE_COMPLETE", name)
        return True

    def _remove(self, stack: Made, name: str, template: dict[str, Any]) -> bool:
        held = stack.resources[name]
        if not held.get("id") or held["status"] == "DELETE_COMPLETE":
            held["status"] = "DELETE_COMPLETE"
            return True
        if template["Resources"].get(name, {}).get("DeletionPolicy") == "Retain":
            self.told(stack, "DELETE_SKIPPED", name)
            return True
        self.told(stack, "DELETE_IN_PROGRESS", name)
        if ("delete", name) in self.broken:
            self.told(stack, "DELETE_FAILED", name, f"{name} is not empty")
            return False
        self.world.discard(held["id"])
        self.told(stack, "DELETE_COMPLETE", name)
        return True

    def _resolved(self, stack: Made, wanted: Any) -> str:
        def fill(tree: Any) -> Any:
            if isinstance(tree, dict):
                ref = tree.get("Ref")
                known = self._values(stack)
                return known[ref] if ref in known else {k: fill(v) for k, v in tree.items()}
            return tree

        return json.dumps(fill({k: v for k, v in wanted.items() if k != "DeletionPolicy"}))

    def _values(self, stack: Made) -> dict[str, str]:
        declared = stack.template.get("Parameters", {})
        defaults = {k: v["Default"] for k, v in declared.items() if "Default" in v}
        return {**defaults, **stack.parameters}

    # -- what changes a stack ----------------------------------------------------------------

    def _creating(self, stack: Made) -> None:
        if all(self._make(stack, n, w) for n, w in stack.template["Resources"].items()):
            self.told(stack, "CREATE_COMPLETE")
            return
        self.told(stack, "ROLLBACK_IN_PROGRESS")
        stack.steps.append(lambda: self._rolling_back(stack))

    def _rolling_back(self, stack: Made) -> None:
        gone = [self._remove(stack, name, stack.template) for name in [*stack.resources]]
        self.told(stack, "ROLLBACK_COMPLETE" if all(gone) else "ROLLBACK_FAILED")

    def _updating(self, stack: Made) -> None:
        for name, wanted in stack.template["Resources"].items():
            held = stack.resources.get(name)
            if held is None or held["status"] == "DELETE_COMPLETE":
                good = self._make(stack, name, wanted)
            elif held["wanted"] != self._resolved(stack, wanted):
                good = ("update", name) not in self.broken
                self.told(stack, "UPDATE_IN_PROGRESS", name)
                if good:
                    held["wanted"] = self._resolved(stack, wanted)
                words = "" if good else f"{name} cannot be updated"
                self.told(stack, "UPDATE_COMPLETE" if good else "UPDATE_FAILED", name, words)
            else:
                good = True
            if not good:
                self.told(stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason="a resource failed")
                stack.steps.append(lambda: self._returning(stack))
                return
        self.told(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        stack.steps.append(lambda: self._cleaning(stack))

    def _cleaning(self, stack: Made) -> None:
        for name in [*stack.resources]:
            if name not in stack.template["Resources"]:
                self._remove(stack, name, stack.previous[0])
                stack.resources.pop(name)
        self.told(stack, "UPDATE_COMPLETE")

    def _returning(self, stack: Made, skip: tuple[str, ...] = ()) -> None:
        stack.template, stack.parameters = stack.previous
        for name, wanted in stack.template["Resources"].items():
            held = stack.resources[name]
            if held["wanted"] != self._resolved(stack, wanted) or ("rollback", name) in self.broken:
                if ("rollback", name) in self.broken and name not in skip:
                    self.told(stack, "UPDATE_FAILED", name, f"{name} does not go back")
                    self.told(stack, "UPDATE_ROLLBACK_FAILED", reason=f"failed: [{name}]")
                    return
                held["wanted"] = self._resolved(stack, wanted)
                self.told(stack, "UPDATE_COMPLETE", name)
        for name in [*stack.resources]:
            if name not in stack.template["Resources"]:
                self._remove(stack, name, stack.template)
                stack.resources.pop(name)
        self.told(stack, "UPDATE_ROLLBACK_COMPLETE")

    def _deleting(self, stack: Made, keep: tuple[str, ...]) -> None:
        gone = True
        for name in reversed([*stack.resources]):
            if name in keep:
                self.told(stack, "DELETE_SKIPPED", name)
            else:
                gone = self._remove(stack, name, stack.template) and gone
        self.told(stack, "DELETE_COMPLETE" if gone else "DELETE_FAILED")

    # -- the API -----------------------------------------------------------------------------

    def on_DescribeAccountLimits(self, _given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        return {"AccountLimits": []}

    def on_ValidateTemplate(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        for name, about in json.loads(given["TemplateBody"])["Resources"].items():
            if not str(about.get("Type", "")).count("::"):
                raise RefusalError(
                    "ValidationError", f"Template format error: [{name}] has no type"
                )
        return {}

    def on_DescribeStacks(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        stack = self.stack(given["StackName"])
        if stack.steps and not self.frozen:
            stack.steps.pop(0)()
            stack = self.stack(given["StackName"])
        hidden = {
            name
            for name, about in stack.template.get("Parameters", {}).items()
            if about.get("NoEcho")
        }
        about = {
            "StackId": stack.id,
            "StackName": stack.name,
            "StackStatus": stack.status,
            "CreationTime": NOW,
            "EnableTerminationProtection": stack.protected,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": "****" if key in hidden else value}
                for key, value in self._values(stack).items()
            ],
            "Outputs": [
                {"OutputKey": key, "OutputValue": json.loads(self._resolved(stack, out))["Value"]}
                for key, out in stack.template.get("Outputs", {}).items()
            ],
        }
        if stack.updated:
            about["LastUpdatedTime"] = f"2026-01-01T00:00:{stack.updated:02}Z"
        if stack.change_set:
            about["ChangeSetId"] = stack.change_set
        return {"Stacks": [about]}

    def on_ListStacks(self, _given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        return {
            "StackSummaries": [
                {"StackId": s.id, "StackName": s.name, "StackStatus": s.status, "CreationTime": NOW}
                for s in self.stacks
                if s.status in ("DELETE_COMPLETE", "DELETE_FAILED")
            ]
        }

    def on_DescribeStackEvents(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        return {"StackEvents": self.stack(given["StackName"]).events[::-1]}

    def on_ListStackResources(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        held = self.stack(given["StackName"]).resources
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": one.get("id", ""),
                    "ResourceType": one["type"],
                    "ResourceStatus": one["status"],
                    "LastUpdatedTimestamp": NOW,
                }
                for name, one in held.items()
            ]
        }

    def on_GetTemplate(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        return {"TemplateBody": json.dumps(self.stack(given["StackName"]).template)}

    def on_CreateChangeSet(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        name, new = given["StackName"], given["ChangeSetType"] == "CREATE"
        try:
            stack = self.stack(name)
        except RefusalError:
            if not new:
                raise
            arn = f"arn:aws:cloudformation:eu-test-1:{ACCOUNT}:stack/{name}/{uuid.uuid4()}"
            stack = Made(name=name, id=arn)
            self.stacks.append(stack)
            self.told(stack, "REVIEW_IN_PROGRESS")
        if new and stack.status != "REVIEW_IN_PROGRESS":
            raise RefusalError("ValidationError", f"Stack [{name}] already exists")
        standing = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        if not new and stack.status not in standing:
            words = f"Stack:{stack.id} is in {stack.status} state and can not be updated."
            raise RefusalError("ValidationError", words)
        same = [
            c
            for c in self.change_sets.values()
            if c["name"] == given["ChangeSetName"] and c["stack"] is stack
        ]
        if same and same[0]["token"] == given["ClientToken"]:
            return {"Id": same[0]["id"], "StackId": stack.id}
        template = json.loads(given["TemplateBody"])
        parameters, at = {}, 1
        while key := given.get(f"Parameters.member.{at}.ParameterKey"):
            previous = given.get(f"Parameters.member.{at}.UsePreviousValue") == "true"
            value = given.get(f"Parameters.member.{at}.ParameterValue", "")
            parameters[key] = self._values(stack)[key] if previous else value
            at += 1
        id_ = f"arn:aws:cloudformation:eu-test-1:{ACCOUNT}:changeSet/{given['ChangeSetName']}/{at}"
        self.change_sets[id_] = found = {
            "id": id_,
            "name": given["ChangeSetName"],
            "stack": stack,
            "token": given["ClientToken"],
            "template": template,
            "parameters": parameters,
            "executed": "AVAILABLE",
        }
        found["changes"] = self._changes(found)
        return {"Id": id_, "StackId": stack.id}

    def _changes(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        stack = found["stack"]
        after = Made("", "", template=found["template"], parameters=found["parameters"])
        changes = []
        for name, wanted in after.template["Resources"].items():
            held = stack.resources.get(name)
            if held is None:
                changes.append((name, "Add"))
            elif held["wanted"] != self._resolved(after, wanted):
                changes.append((name, "Modify"))
        changes += [(n, "Remove") for n in stack.resources if n not in after.template["Resources"]]
        return [
            {"Type": "Resource", "ResourceChange": {"Action": op, "LogicalResourceId": name}}
            for name, op in changes
        ]

    def _change_set(self, given: dict[str, str]) -> dict[str, Any]:
        wanted = given["ChangeSetName"]
        for one in self.change_sets.values():
            if one["id"] == wanted or (
                one["name"] == wanted and given.get("StackName") == one["stack"].id
            ):
                return one
        raise RefusalError("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist")

    def on_DescribeChangeSet(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        found = self._change_set(given)
        about = {
            "ChangeSetId": found["id"],
            "StackId": found["stack"].id,
            "ExecutionStatus": found["executed"],
            "Status": "CREATE_COMPLETE" if found["changes"] else "FAILED",
            "Changes": found["changes"],
        }
        if not found["changes"]:
            about["StatusReason"] = "The submitted information didn't contain changes."
        return about

    def on_ListChangeSets(self, given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        stack = self.stack(given["StackName"])
        mine = [one for one in self.change_sets.values() if one["stack"] is stack]
        return {"Summaries": [{"ChangeSetName": one["name"]} for one in mine]}

    def on_DeleteChangeSet(self, given: dict[str, str]) -> None:  # noqa: N802
        self.change_sets.pop(self._change_set(given)["id"])

    def on_ExecuteChangeSet(self, given: dict[str, str]) -> None:  # noqa: N802
        found = self._change_set(given)
        stack, new = found["stack"], found["stack"].status == "REVIEW_IN_PROGRESS"
        if found["executed"] != "AVAILABLE":
            if stack.token == given["ClientRequestToken"]:
                return
            raise RefusalError("InvalidChangeSetStatus", "it was executed")
        found["executed"] = "EXECUTE_COMPLETE"
        stack.token, stack.change_set = given["ClientRequestToken"], found["id"]
        stack.previous = (stack.template, stack.parameters)
        stack.template, stack.parameters = found["template"], found["parameters"]
        stack.updated += not new
        self.told(stack, "CREATE_IN_PROGRESS" if new else "UPDATE_IN_PROGRESS")
        work = self._creating if new else self._updating
        stack.steps = [lambda: work(stack)]

    def on_CancelUpdateStack(self, given: dict[str, str]) -> None:  # noqa: N802
        stack = self.stack(given["StackName"])
        self.told(stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason="User Initiated")
        stack.steps = [lambda: self._returning(stack)]

    def on_ContinueUpdateRollback(self, given: dict[str, str]) -> None:  # noqa: N802
        stack = self.stack(given["StackName"])
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise RefusalError("ValidationError", f"{stack.name} is in {stack.status}")
        skip = tuple(v for k, v in given.items() if k.startswith("ResourcesToSkip"))
        stack.token = given["ClientRequestToken"]
        self.told(stack, "UPDATE_ROLLBACK_IN_PROGRESS")
        stack.steps = [lambda: self._returning(stack, skip)]

    def on_DeleteStack(self, given: dict[str, str]) -> None:  # noqa: N802
        try:
            stack = self.stack(given["StackName"])
        except RefusalError:
            return
        if stack.protected:
            words = f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            raise RefusalError("ValidationError", words)
        if stack.status == "DELETE_COMPLETE":
            return
        if stack.status == "UPDATE_IN_PROGRESS":
            raise RefusalError("ValidationError", f"{stack.name} is in {stack.status}")
        stack.token = given.get("ClientRequestToken", "")
        keep = tuple(v for k, v in given.items() if k.startswith("RetainResources"))
        self.told(stack, "DELETE_IN_PROGRESS")
        stack.steps = [lambda: self._deleting(stack, keep)]

    def on_DetectStackDrift(self, _given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        return {"StackDriftDetectionId": "detection-1"}

    def on_DescribeStackDriftDetectionStatus(  # noqa: N802
        self, _given: dict[str, str]
    ) -> dict[str, Any]:
        state = "DRIFTED" if self.drifted else "IN_SYNC"
        return {"DetectionStatus": "DETECTION_COMPLETE", "StackDriftStatus": state}

    def on_DescribeStackResourceDrifts(self, _given: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        told = {name: {"StackResourceDriftStatus": how} for name, how in self.drifted.items()}
        for name, difference in self.differences.items():
            told[name]["PropertyDifferences"] = [difference]
        return {
            "StackResourceDrifts": [
                {"LogicalResourceId": name, **one} for name, one in told.items()
            ]
        }


class LostError(Exception):
    """The answer never comes."""


def _xml(tree: Any) -> str:
    if isinstance(tree, dict):
        return "".join(f"<{key}>{_xml(value)}</{key}>" for key, value in tree.items())
    if isinstance(tree, list):
        return "".join(f"<member>{_xml(one)}</member>" for one in tree)
    return escape(str(tree).lower() if isinstance(tree, bool) else str(tree))


@contextmanager
def serve() -> Iterator[FakeCloudFormation]:
    """Listen on a free port of this machine."""
    fake = FakeCloudFormation()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            given = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
            action, status = given.pop("Action"), 200
            try:
                found = fake.answer(action, given)
                body = f"<{action}Response><{action}Result>{_xml(found)}</{action}Result>"
                body += f"</{action}Response>"
            except RefusalError as refused:
                status = refused.status
                error = {"Type": "Sender", "Code": refused.code, "Message": str(refused)}
                body = f"<ErrorResponse>{_xml({'Error': error})}</ErrorResponse>"
            except LostError:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
