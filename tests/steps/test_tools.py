"""What foreign programs and services say, read without them."""

from __future__ import annotations

import getpass
import json
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from alma import Request, Secret
from alma.core.events import Process
from alma.core.redaction import Redactor
from alma.errors import BackendError
from alma.steps.http.client import _seconds, shown
from alma.steps.http.filling import UnfilledError, fill
from alma.steps.terraform import output as tfui
from alma.steps.terraform import state as tfstate
from alma.steps.terraform.state import is_proven_dead
from alma.steps.values import UNDO, journaled_values, with_secrets, without_secrets
from alma.system.processes import HOST, PLACE

# -- Terraform's state ----------------------------------------------------------------------------


def test_a_state_is_read_with_addresses_as_terraform_writes_them() -> None:
    document = {
        "version": 4,
        "lineage": "abc",
        "serial": 7,
        "resources": [
            {
                "mode": "managed",
                "module": 'module.net["a"]',
                "type": "x_vpc",
                "name": "main",
                "instances": [
                    {"index_key": "k", "attributes": {"id": "v-1"}},
                    {"index_key": 0, "attributes": {"id": 5}, "deposed": "ff"},
                ],
            },
            {"mode": "data", "type": "x_ami", "name": "it", "instances": [{}]},
        ],
    }
    state = tfstate.parse(json.dumps(document))
    assert state.fingerprint == "abc:7"
    assert [(one.address, one.id) for one in state.instances] == [
        ('module.net["a"].x_vpc.main["k"]', "v-1"),
        ('module.net["a"].x_vpc.main[0] (deposed ff)', "5"),
    ]
    assert tfstate.parse("\n") == tfstate.State()
    with pytest.raises(BackendError, match="cannot be read"):
        tfstate.parse('{"resources": [{"mode": "managed"}]}')


# -- what Terraform says --------------------------------------------------------------------------


def _hook(kind: str, address: str, action: str, id_: str = "") -> dict[str, Any]:
    hook = {"resource": {"addr": address}, "action": action, "id_value": id_}
    return {"type": kind, "@message": f"{address}: {kind}", "hook": hook}


def _error(summary: str, detail: str = "", **more: Any) -> dict[str, Any]:
    found = {"severity": "error", "summary": summary, "detail": detail, **more}
    return {"type": "diagnostic", "@message": f"Error: {summary}", "diagnostic": found}


def _read(*entries: Any, quiet: bool = False) -> tfui.TerraformLog:
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    return tfui.read("\n".join(lines), quiet=quiet)


def test_what_was_done_and_what_no_state_knows_of() -> None:
    """Cut off in a create, or made and not noted; a delete and a create of one are a replace."""
    account = _read(
        _hook("apply_start", "a", "create"),
        _hook("apply_complete", "a", "create", "1"),
        _hook("apply_start", "b", "delete"),
        _hook("apply_complete", "b", "delete"),
        _hook("apply_start", "b", "create"),
        _hook("apply_complete", "b", "create", "2"),
        _hook("apply_start", "c", "create"),
        _hook("apply_start", "d", "create"),
        _hook("apply_errored", "d", "create"),
        _hook("apply_start", "e", "update"),
    )
    assert account.changes == {"create": 1, "replace": 1}
    assert account.unrecorded({"a", "b"}) == ("c",)
    assert set(account.unrecorded(())) == {"a", "b", "c"}


def test_the_first_error_is_the_failure() -> None:
    """With the place in the file, the address, and how many more there are."""
    place = {"filename": "main.tf", "start": {"line": 3}}
    account = _read(_error("Bad", "no room", address="x.y", range=place), _error("Worse"))
    failure = account.failure("apply", 1)
    assert failure.message == "Bad (main.tf, line 3): no room (and 1 more errors)"
    assert (failure.kind, failure.urn) == ("provider", "x.y")
    boxed = _read("Initializing...", "╷", "│ \x1b[31mError: Unsupported", "│ Update it.", "╵")
    assert boxed.failure("init", 1).message == "terraform init: Unsupported Update it."


def test_a_log_for_which_no_secrets_are_known_leaves_out_what_could_hold_one() -> None:
    progress = {"type": "provision_progress", "@message": "x (local-exec): pw"}
    account = _read(progress, _error("pw", "pw"), "pw", _hook("apply_start", "a", "x"), quiet=True)
    assert account.lines == ["a: apply_start"]


LOCK = """Error message: already locked
Lock Info:
  ID:        1234
  Path:      here
  Operation: OperationTypeApply
  Who:       {who}
  Version:   1.11.4
  Created:   2026-01-31 14:25:01.123456789 +0000 UTC
"""


def test_a_lock_is_dead_only_by_proof(tmp_path: Path) -> None:
    """Of this user and host, older than this attempt, and than every Terraform that lives."""
    who = f"{getpass.getuser()}@{HOST}"
    now = time.time()

    def lock(who: str = who, created: float = now - 60) -> tfui.Lock:
        return tfui.Lock(id="1", who=who, created=datetime.fromtimestamp(created, UTC))

    read = _read(_error("Error acquiring the state lock", LOCK.format(who=who))).lock
    assert read is not None
    assert (read.id, read.who) == ("1234", who)
    assert read.created == datetime(2026, 1, 31, 14, 25, 1, tzinfo=UTC)

    def ours(host: str = PLACE, started: float = now - 61) -> list[Process]:
        return [Process(host=host, pid=0, started=started)]

    # What other tests run just now is younger.
    old = lock(created=now - 3600)
    assert is_proven_dead(old, now, ours(started=now - 3601))
    assert not is_proven_dead(lock(who="somebody@elsewhere"), now, ours())
    assert not is_proven_dead(lock(created=now), now, ours())
    assert not is_proven_dead(tfui.Lock(id="1", who=who, created=None), now, ours())
    # A host or container of this name may have a Terraform that is not seen here.
    for known in ([], ours(f"{HOST}#0-1", now - 3601), ours(HOST, now - 3601), ours()):
        assert not is_proven_dead(old, now, known)
    assert not is_proven_dead(old, now, ours(started=now - 3600 - 300))

    program = tmp_path / "terraform"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "60"]) as holder:
        try:
            later = lock(created=time.time() + 10)
            assert not is_proven_dead(later, time.time() + 60, ours(started=time.time()))
        finally:
            holder.kill()


# -- requests -------------------------------------------------------------------------------------


def test_placeholders_are_filled_with_their_types_and_quoted_in_urls() -> None:
    request = Request(
        "post",
        "{inputs.api}/zones/{inputs.zone}/records",
        json={"name": "a-{inputs.zone}", "ports": "{inputs.ports}", "keep": "{this}"},
        headers={"X-Token": "{inputs.token}"},
    )
    values = {"api": "http://h", "zone": "a/ü", "ports": [1], "token": Secret("t")}
    filled = fill(request, {"inputs": values, "outputs": {}})
    assert filled.method == "POST"
    assert filled.url == "http://h/zones/a%2F%C3%BC/records"
    assert filled.json == {"name": "a-a/ü", "ports": [1], "keep": "{this}"}
    assert filled.headers == {"X-Token": Secret("t")}
    nested = Request("GET", "http://h/{outputs.record.id}?key=secret")
    assert shown(fill(nested, {"inputs": {}, "outputs": {"record": {"id": 7}}})) == "GET http://h/7"
    for outputs in ({}, {"record": {"id": "[secret]"}}):
        with pytest.raises(UnfilledError):
            fill(nested, {"inputs": {}, "outputs": outputs})


def test_only_a_request_without_secrets_is_kept() -> None:
    """Credentials in a header are secret without being marked; a query is taken for one."""
    assert Request("GET", "http://h/x", headers={"Accept": "a"}).is_plain()
    assert not Request("GET", "http://h/x", headers={"authorization": "Bearer x"}).is_plain()
    assert not Request("GET", "http://h/x?y=1").is_plain()
    assert not Request("GET", "http://h/x", params={"y": 1}).is_plain()
    assert not Request("GET", "http://h/x", json={"deep": [Secret("x")]}).is_plain()


def test_retry_after_is_seconds_or_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert _seconds("7") == 7
    assert 80 < (_seconds(format_datetime(later, usegmt=True)) or 0) <= 90
    assert _seconds("soon") is None


# -- values in the journal ------------------------------------------------------------------------


def test_values_that_hold_a_secret_are_kept_apart() -> None:
    """Also as plain text inside another value, and in a request that undoes."""
    settings = journaled_values(
        {"plain": 1, "url": "db://me:hunter22@h", "password": Secret("hunter22")}
    )
    redact = Redactor()
    redact.learn(Secret("hunter22"))
    undo = {"method": "DELETE", "url": "http://h/hunter22"}
    whole = {**settings, "undo": undo}
    kept, sealed = without_secrets(whole, redact)
    assert kept == {"values": {"plain": 1}, "secrets": ["password", UNDO, "url"]}
    assert with_secrets(kept, sealed) == whole
