"""The name service and its client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stacks.local import names, process, web
from stacks.local.names import NameService, NameServiceError


@pytest.fixture
def service(scratch: Path) -> Iterator[NameService]:
    running = names.start(scratch / "names" / "records.json")
    yield running
    names.stop(running, scratch / "names" / "records.json")


def test_a_record_is_created_found_and_deleted(service: NameService) -> None:
    assert names.lookup(service.url, "www.example.test") is None
    made = names.create_record(service.url, "www.example.test", "http://a", "k1")
    assert made == {"name": "www.example.test", "target": "http://a", "previous": None}
    assert names.lookup(service.url, "www.example.test") == "http://a"
    names.delete_record(service.url, "www.example.test")
    assert names.lookup(service.url, "www.example.test") is None
    names.delete_record(service.url, "www.example.test")  # gone already: a success


def test_a_replaced_record_tells_what_was_there(service: NameService) -> None:
    names.create_record(service.url, "www", "http://a", "k1")
    assert names.create_record(service.url, "www", "http://b", "k2")["previous"] == "http://a"
    assert names.lookup(service.url, "www") == "http://b"


def test_a_repeated_key_changes_nothing(service: NameService) -> None:
    first = names.create_record(service.url, "www", "http://a", "k1")
    names.create_record(service.url, "www", "http://b", "k2")
    assert names.create_record(service.url, "www", "http://a", "k1") == first
    assert names.lookup(service.url, "www") == "http://b"
    names.delete_record(service.url, "www")
    names.create_record(service.url, "www", "http://a", "k1")
    assert names.lookup(service.url, "www") is None, "a late duplicate must not bring it back"


def test_a_key_is_of_one_request_only(service: NameService) -> None:
    names.create_record(service.url, "www", "http://a", "k1")
    with pytest.raises(NameServiceError, match="this idempotency key belongs to another request"):
        names.create_record(service.url, "www", "http://b", "k1")
    assert names.lookup(service.url, "www") == "http://a"


def test_of_many_creates_at_once_with_one_key_one_counts(service: NameService) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: names.create_record(service.url, "www", "http://a", "k"), range(24))
        )
    assert {answer["previous"] for answer in answers} == {None}


def test_records_and_keys_outlive_the_process(scratch: Path) -> None:
    data = scratch / "names" / "records.json"
    first = names.start(data)
    made = names.create_record(first.url, "www", "http://a", "k1")
    names.stop(first)
    with pytest.raises(NameServiceError, match=r"^names: no answer from .*: connection refused$"):
        names.lookup(first.url, "www")
    second = names.start(data)
    assert names.lookup(second.url, "www") == "http://a"
    assert names.create_record(second.url, "www", "http://a", "k1") == made
    names.stop(second, data)
    names.stop(second, data)
    assert not data.parent.exists()


def test_a_bad_request_is_refused_with_a_reason(service: NameService) -> None:
    for name in ("../x", "a/b", "-x", "x" * 300):
        with pytest.raises(NameServiceError, match="the path is /records/NAME"):
            names.create_record(service.url, name, "http://a", "k")
    with pytest.raises(NameServiceError, match="an Idempotency-Key header is required"):
        names.create_record(service.url, "www", "http://a", "")
    with pytest.raises(NameServiceError, match="the body is"):
        names.create_record(service.url, "www", "", "k")
    assert web.request("GET", f"{service.url}/elsewhere")[0] == 404


def test_it_runs_from_the_command_line(scratch: Path) -> None:
    command = [sys.executable, "-m", "stacks.local.names", "--port", "0", "--data"]
    child = subprocess.Popen(
        [*command, str(scratch / "r.json")], stdout=subprocess.PIPE, cwd=process.ROOT, text=True
    )
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline().strip().rpartition(" ")[2].rstrip("}"))
        assert web.request("GET", f"http://127.0.0.1:{port}/healthz")[0] == 200
    finally:
        child.kill()
        child.communicate()
