"""An apply that was cut off on another host: what it was creating is in its log, which is there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from alma.core.definition import StepDefinition
from alma.core.events import IN_DOUBT, Process, ResourceChange
from alma.core.run import OpenOperation, StepStatus
from alma.steps.terraform.doubts import lost, unlogged
from alma.steps.terraform.output import Lock
from alma.steps.terraform.state import CutOff, State, is_of_gone
from alma.system import processes


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
