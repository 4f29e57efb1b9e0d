"""A run as a trace, and its operations as metrics, by OpenTelemetry.

Loaded only where the standard `OTEL_*` variables ask for it. A span each for the run, its steps and
its operations, by the conventions for CI/CD pipelines
(https://opentelemetry.io/docs/specs/semconv/cicd/). What fails here touches no run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any, Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from alma.__about__ import __version__
from alma.core import events as ev
from alma.core.run import RunStatus, SagaState
from alma.runner.recorder import Reporter
from alma.system.trace_context import given_parent, is_configured, span_id, trace_id

_FLUSH: Final = 5_000
"""Milliseconds that a run waits at its end for what was not sent yet."""
_RESULTS: Final = {
    SagaState.COMPLETED: "success",
    SagaState.COMPENSATED: "failure",
    SagaState.FAILED: "error",
}


class _Ids(IdGenerator):
    """Ids that are known beforehand: see `alma.system.trace_context`."""

    def __init__(self, trace: int) -> None:
        self.trace, self.span = trace, 1

    def generate_trace_id(self) -> int:
        """The run's."""
        return self.trace

    def generate_span_id(self) -> int:
        """Of the span that is begun."""
        return self.span


class Tracing:
    """A reporter that tells of a run in spans and metrics, and passes all on to another one."""

    def __init__(self, run: RunStatus, shown: Reporter | None, environ: Mapping[str, str]) -> None:
        self._run, self._shown = run, shown
        self._ids = _Ids(trace_id(run.run, environ))
        resource = Resource.create({SERVICE_NAME: "alma-pulumi", SERVICE_VERSION: __version__})
        self._traces = TracerProvider(id_generator=self._ids, resource=resource)
        for made in _exporters("traces", environ):
            self._traces.add_span_processor(BatchSpanProcessor(made))
        readers = [PeriodicExportingMetricReader(made) for made in _exporters("metrics", environ)]
        self._meters = MeterProvider(metric_readers=readers, resource=resource)
        self._tracer = self._traces.get_tracer("alma", __version__)
        meter = self._meters.get_meter("alma", __version__)
        self._operations = meter.create_counter(
            "alma.operations", unit="{operation}", description="Operations that have ended"
        )
        self._durations = meter.create_histogram(
            "alma.operation.duration", unit="s", description="How long an operation took"
        )
        self._leftovers = meter.create_counter(
            "alma.leftovers", unit="{leftover}", description="What runs have left behind"
        )
        self._steps: dict[str, Span] = {}
        self._open: dict[str, Span] = {}
        self._kinds: dict[str, str] = {}
        self._root: Span | None = None
        self._parent = given_parent(environ)
        self._name = ""

    def recorded(self, run: RunStatus, entry: ev.Recorded) -> None:
        """Tell of an event."""
        if self._shown is not None:
            self._shown.recorded(run, entry)
        try:
            self._take(run, entry)
        except Exception as error:  # noqa: BLE001 - it is only looked at
            with suppress(OSError, ValueError):
                sys.stderr.write(f"alma: tracing has failed: {type(error).__name__}\n")

    def resource(self, step: str, urn: str, op: str, done: bool) -> None:  # noqa: FBT001
        """Only shown: a provider's own spans tell more."""
        if self._shown is not None:
            self._shown.resource(step, urn, op, done)

    def close(self) -> None:
        """End what is open, and send what was not sent."""
        for span in (*self._open.values(), *self._steps.values()):
            span.end()
        if self._root is not None:
            self._root.end()
        self._traces.force_flush(_FLUSH)
        self._meters.force_flush(_FLUSH)
        self._traces.shutdown()
        self._meters.shutdown(timeout_millis=_FLUSH)

    # -- events to spans -----------------------------------------------------------------------

    def _take(self, run: RunStatus, entry: ev.Recorded) -> None:
        event, at = entry.event, entry.at
        root = self._root or self._begin_run(run, entry)
        match event:
            case ev.OperationIntended():
                self._begin_operation(run, entry, event)
            case ev.OperationSucceeded() | ev.OperationFailed():
                self._end(event, at)
            case ev.OperationLeftInDoubt():
                if event.operation in self._open:
                    span = self._open.pop(event.operation)
                    span.add_event("left in doubt", {}, _time(at))
                    span.end(_time(at))
            case ev.CompensationStarted():
                root.add_event("undo", {"alma.step": event.failed_step}, _time(at))
            case ev.StepCompensated():
                self._step(event.step, entry).add_event(
                    "undone", {"alma.how": event.how}, _time(at)
                )
            case ev.RunFailed():
                for left in event.leftovers:
                    root.add_event("leftover", {"alma.step": left.step, "urn": left.urn}, _time(at))
                self._leftovers.add(len(event.leftovers), {"cicd.pipeline.name": self._name})
            case _:
                pass
        if run.state.is_final or isinstance(event, ev.RunInterrupted):
            self._finish(run, root)

    def _begin_run(self, run: RunStatus, entry: ev.Recorded) -> Span:
        context = None
        if self._parent is not None:
            trace, span = self._parent
            given = SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(1))
            context = set_span_in_context(NonRecordingSpan(given))
        self._name = run.definition.target
        self._ids.span = span_id("run", run.run, str(entry.epoch))
        self._root = self._tracer.start_span(
            f"{run.kind} {self._name}",
            context,
            SpanKind.SERVER,
            {
                "cicd.pipeline.name": self._name,
                "cicd.pipeline.run.id": run.run,
                "cicd.pipeline.action.name": run.kind,
            },
            start_time=_time(entry.at),
        )
        return self._root

    def _begin_operation(
        self, run: RunStatus, entry: ev.Recorded, event: ev.OperationIntended
    ) -> None:
        step = self._step(event.step, entry)
        if event.attempt > 1:
            step.add_event("retry", {"alma.operation.attempt": event.attempt}, _time(entry.at))
        span = self._begin("operation", event.operation, name=event.kind, parent=step, at=entry.at)
        span.set_attributes(
            {
                "cicd.pipeline.task.name": event.step,
                "cicd.pipeline.task.run.id": event.operation,
                "alma.operation.kind": event.kind,
                "alma.operation.attempt": event.attempt,
            }
        )
        self._open[event.operation] = span
        self._kinds[event.operation] = run.steps[event.step].definition.kind

    def _step(self, name: str, entry: ev.Recorded) -> Span:
        if name not in self._steps:
            words = (self._run.run, str(entry.epoch), name)
            span = self._begin("step", *words, name=name, parent=self._root, at=entry.at)
            span.set_attribute("cicd.pipeline.task.name", name)
            self._steps[name] = span
        return self._steps[name]

    def _begin(self, *what: str, name: str, parent: Span | None, at: datetime) -> Span:
        self._ids.span = span_id(*what)
        context = set_span_in_context(parent) if parent is not None else None
        return self._tracer.start_span(name, context, SpanKind.INTERNAL, start_time=_time(at))

    def _end(self, event: ev.OperationSucceeded | ev.OperationFailed, at: datetime) -> None:
        span = self._open.pop(event.operation, None)
        if span is None:
            return  # A step that was left alone had no intent.
        failed = isinstance(event, ev.OperationFailed)
        result = "failure" if failed else "success"
        if isinstance(event, ev.OperationFailed):
            if event.failure.kind in ("timeout", "cancelled"):
                result = {"timeout": "timeout", "cancelled": "cancellation"}[event.failure.kind]
            span.set_status(Status(StatusCode.ERROR, event.failure.message))
            span.set_attribute("error.type", event.failure.kind)
        span.set_attribute("cicd.pipeline.task.run.result", result)
        span.end(_time(at))
        labels = {
            "cicd.pipeline.name": self._name,
            "alma.step.kind": self._kinds.pop(event.operation, ""),
            "alma.operation.kind": event.kind,
            "cicd.pipeline.task.run.result": result,
        }
        self._operations.add(1, labels)
        self._durations.record(event.seconds, labels)

    def _finish(self, run: RunStatus, root: Span) -> None:
        result = _RESULTS.get(run.state, "cancellation")
        root.set_attribute("cicd.pipeline.result", result)
        root.set_attribute("alma.run.state", run.state.name)
        if result != "success":
            root.set_status(Status(StatusCode.ERROR, run.reason))


def _time(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000


def _exporters(signal: str, environ: Mapping[str, str]) -> Iterator[Any]:
    """What the standard variables choose; one that is not installed is named, once a run."""
    if not is_configured(environ, signal.upper()):
        return
    for name in environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").split(","):
        found = _entry(name.strip() or "otlp", signal, environ)
        for entry in entry_points(group=f"opentelemetry_{signal}_exporter", name=found):
            yield entry.load()()
            break
        else:
            more = " (pip install 'alma-pulumi[otel]')" if found.endswith("http") else ""
            sys.stderr.write(f"alma: no {signal} are sent: {found} is not installed{more}\n")


def _entry(name: str, signal: str, environ: Mapping[str, str]) -> str:
    """The entry point of an exporter; of `otlp` by its protocol, HTTP where none is said."""
    if name != "otlp":
        return name
    variables = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((environ[one] for one in variables if environ.get(one)), "http/protobuf")
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"


@contextmanager
def traced(run: RunStatus, shown: Reporter | None) -> Iterator[Reporter | None]:
    """The reporter of a run, with its trace where one can be made."""
    try:
        tracing = Tracing(run, shown, os.environ)
    except Exception as error:  # noqa: BLE001 - a wrong variable of a trace ends no run
        sys.stderr.write(f"alma: no trace is made: {type(error).__name__}: {error}\n")
        yield shown
        return
    try:
        yield tracing
    finally:
        with suppress(Exception):
            tracing.close()
