"""An apply that was cut off on another host: what it was creating is in its log, which is there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from alma import Saga
from alma.core.definition import StepDefinition
from alma.core.events import (
    IN_DOUBT,
    OperationIntended,
    OperationLeftInDoubt,
    OperationReconciled,
    Process,
    ProcessSpawned,
    ResourceChange,
    StepStarted,
)
from alma.core.run import OpenOperation, StepStatus
from alma.runner.children import Children
from alma.runner.settings import Settings
from alma.steps.base import SessionOptions
from alma.steps.terraform.doubts import lost, unlogged
from alma.steps.terraform.output import Lock
from alma.steps.terraform.ownership import TerraformSession
from alma.steps.terraform.state import CutOff, State, is_of_gone
from alma.system import processes
from tests.core.histories import History


def _operation(host: str, log: Path, kind: str = "up") -> OpenOperation:
    there = Process(host=host, pid=7, started=0.0)
    return OpenOperation(
        id="o", kind=kind, attempt=1, epoch=1, log=str(log), host=host, processes=(there,)
    )


def test_what_only_a_log_elsewhere_tells_is_a_doubt_that_no_empty_state_ends(
    tmp_path: Path,
) -> None:
    gone = tmp_path / "gone"
    (doubt,) = unlogged(_operation("ci-1#boot-1", gone))
    assert "ci-1" in doubt
    status = StepStatus(
        definition=StepDefinition(name="network", kind="terraform"),
        resources=(ResourceChange(urn=doubt, op=IN_DOUBT),),
    )
    assert doubt in lost(status, State())


def test_where_its_log_is_or_it_could_create_nothing_there_is_no_such_doubt(
    tmp_path: Path,
) -> None:
    assert unlogged(_operation("ci-1#boot-1", tmp_path)) == ()
    assert unlogged(_operation("ci-1#boot-1", tmp_path / "gone", "destroy")) == ()
    assert unlogged(_operation(processes.PLACE, tmp_path / "gone")) == ()


def test_the_lock_of_a_terraform_that_was_cut_off_on_a_host_that_is_gone_is_of_nobody() -> None:
    """By the host's name, and the time at which that Terraform began: by one clock."""
    began = 1_700_000_000.0
    known = CutOff([Process(host="ci-1#boot-1", pid=7, started=began)], frozenset({"ci-1#boot-1"}))

    def lock(who: str = "root@ci-1", after: float = 3.0) -> Lock:
        return Lock(id="1", who=who, created=datetime.fromtimestamp(began + after, UTC))

    assert is_of_gone(lock(), known)
    assert not is_of_gone(lock("root@ci-2"), known)
    assert not is_of_gone(lock(after=-60), known)
    assert not is_of_gone(lock(after=3600), known)
    assert not is_of_gone(lock(), known._replace(gone=frozenset()))
    assert not is_of_gone(lock(), known._replace(processes=()))


@pytest.mark.parametrize(
    ("by", "ephemeral", "broken"),
    [("w-2#boot-2", True, True), ("w-1#boot-1", True, False), ("w-2#boot-2", False, False)],
    ids=["settled elsewhere", "settled where it was", "of a host that stays"],
)
def test_the_lock_of_a_worker_that_is_gone_with_its_host_is_broken_by_the_next(
    by: str, ephemeral: bool, broken: bool, tmp_path: Path
) -> None:
    """As after an operator's word: of a run that many drive, each worker says it of itself."""
    began = 1_700_000_000.0
    first = Process(host="w-1#boot-1", pid=1, started=began - 60, ephemeral=ephemeral)
    other = Process(host=by, pid=1, started=began)
    saga = Saga("shop", stack="dev")
    (tmp_path / "main.tf").write_text("")
    saga.add_terraform("network", work_dir=tmp_path)
    history = History(saga)
    terraform = Process(host=first.host, pid=7, started=began)
    history.add(
        StepStarted(step="network"),
        OperationIntended(step="network", operation="o", kind="up", by=first),
        ProcessSpawned(step="network", operation="o", role="cli", process=terraform),
        OperationLeftInDoubt(step="network", operation="o", reason="its worker was lost"),
        OperationReconciled(step="network", operation="o", found="nothing", by=other),
    )
    nested = Children(Settings(journal=tmp_path / "journal.db"))
    asked = SessionOptions(journal=tmp_path, nested=nested, runs=lambda: [history.run])
    session = TerraformSession(history.run.definition, asked)
    known = session.cut_off()
    lock = Lock(id="1", who="root@w-1", created=datetime.fromtimestamp(began + 3, UTC))
    assert is_of_gone(lock, known) == broken

    history.add(OperationIntended(step="network", operation="p", kind="up", by=first))
    assert not is_of_gone(lock, session.cut_off()), "it was only cut off, and is at work again"
