"""Traces and metrics of a run, as a collector gets them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alma import Saga, SagaFailed, Secret
from alma.system.trace_context import VARIABLE, span_id, traceparent
from tests.runner.collector import Collector, attributes_of, collector

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the standard variables name."""
    with collector() as kept:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", kept.url)
        monkeypatch.setenv(VARIABLE, GIVEN)
        yield kept


def broken(tmp_path: Path) -> Any:
    saga = Saga("shop", parallelism=1)
    saga.add_step("database", lambda: {"password": Secret("canary-4711")}, lambda: None)

    def fail() -> None:
        raise RuntimeError("no quota for canary-4711")

    saga.add_step("servers", fail, lambda: None)
    with pytest.raises(SagaFailed) as ended:
        saga.run(journal=tmp_path / "journal.db")
    return ended.value.result


def test_a_run_is_one_trace_with_the_pipeline_that_started_it(
    sent: Collector, tmp_path: Path
) -> None:
    result = broken(tmp_path)
    assert sent.tree() == [
        "up shop/dev",
        "  database",
        "    action",
        "    compensation",
        "  servers",
        "    action",
        "    compensation",
    ]
    assert {one.trace_id.hex() for one in sent.spans} == {GIVEN.split("-")[1]}
    root = sent.span("up shop/dev")
    assert root.parent_span_id.hex() == GIVEN.split("-")[2]
    said = attributes_of(root)
    assert said["cicd.pipeline.name"] == "shop/dev"
    assert said["cicd.pipeline.run.id"] == result.run_id
    assert said["cicd.pipeline.result"] == "failure"
    assert [one.name for one in root.events] == ["undo"]
    step = sent.span("servers")
    failed = sent.span("action", **{"cicd.pipeline.task.name": "servers"})
    assert failed.parent_span_id == step.span_id
    assert attributes_of(failed)["cicd.pipeline.task.run.result"] == "failure"
    assert "no quota" in failed.status.message
    assert [one.name for one in step.events] == ["undone"]
    assert failed.start_time_unix_nano < failed.end_time_unix_nano


def test_metrics_count_operations_by_kind_and_result_and_no_secret_is_sent(
    sent: Collector, tmp_path: Path
) -> None:
    broken(tmp_path)
    counted = {
        (of["alma.operation.kind"], of["cicd.pipeline.task.run.result"]): point.as_int
        for point in sent.metrics["alma.operations"].sum.data_points
        for of in [attributes_of(point)]
    }
    assert counted == {
        ("action", "success"): 1,
        ("action", "failure"): 1,
        ("compensation", "success"): 2,
    }
    assert sent.metrics["alma.operation.duration"].unit == "s"
    assert b"canary-4711" not in sent.raw


def test_a_program_is_given_the_span_of_its_operation(sent: Collector) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sent.url, VARIABLE: GIVEN}
    operation = "20261127-120000-000-abcd-7"
    trace = GIVEN.split("-")[1]
    span = f"{span_id('operation', operation):016x}"
    assert traceparent(operation, environ) == {VARIABLE: f"00-{trace}-{span}-01"}
    without = {"OTEL_EXPORTER_OTLP_ENDPOINT": sent.url}
    first, second = traceparent(operation, without), traceparent(operation[:-1] + "8", without)
    assert first[VARIABLE][:35] == second[VARIABLE][:35], "one run is one trace"
    assert first != second
    for off in ({}, {**environ, "OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}):
        assert traceparent(operation, off) == {}


def test_a_collector_that_nobody_reaches_touches_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    saga = Saga("shop")
    saga.add_step("one", lambda: None, "none")
    assert saga.run(journal=tmp_path / "journal.db").exit_code == 0


def test_an_exporter_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
    saga = Saga("shop")
    saga.add_step("one", lambda: None, "none")
    assert saga.run(journal=tmp_path / "journal.db").exit_code == 0
    assert "no traces are sent: carrier-pigeon is not installed" in capsys.readouterr().err


def test_nothing_of_a_tracer_is_loaded_unless_it_is_asked_for(tmp_path: Path) -> None:
    code = (
        "import sys; from alma import Saga; s = Saga('a'); s.add_step('x', lambda: None, 'none');"
        "s.run(); print([n for n in sys.modules if n.startswith('opentelemetry')])"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    argv = [sys.executable, "-c", code]
    ran = subprocess.run(
        argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"
