"""Every event, whatever its fields hold, comes back from the journal as it was."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from alma.core.events import Event, RunCreated
from alma.journal.encryption import KEY, new_key
from tests.journal.postgres import POSTGRES, within
from tests.journal.tools import MEMORY, a_run, definition, forget, open_at
from tests.services.postgres import Postgres

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """A strategy for a field of an event, made from its type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(st.text(), values(arguments[1]), max_size=3)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return instances(hint)
    return {
        Any: JSON,
        str: st.text(),
        bool: st.booleans(),
        int: st.integers(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
        UnsetType: st.just(UNSET),
    }[hint]


def instances(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{name: values(hints[name]) for name in cls.__struct_fields__})


EVENTS = sorted(set(Event.__subclasses__()) - {RunCreated}, key=lambda cls: cls.__name__)


@pytest.fixture(scope="module", params=[".db", MEMORY])
def suffix(request: pytest.FixtureRequest) -> str:
    """Over Postgres one journal for all types has to do: to make one takes a while."""
    return str(request.param)


@settings(max_examples=2, derandomize=True, database=None, deadline=None)
@given(data=st.data())
def test_every_type_comes_back_equal_from_postgres(
    data: st.DataObject, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drawn = [replace(data.draw(instances(cls)), step="database") for cls in EVENTS]
    path = tmp_path_factory.mktemp("codec") / f"journal{POSTGRES}"
    with (
        pytest.MonkeyPatch.context() as patch,
        postgres.database() as url,
        within(url),
    ):
        patch.setenv(KEY, new_key())
        with a_run(path) as (journal, lease):
            drafts = [journal.draft("r1", 0, event, lease) for event in drawn]
            appended = journal.commit(drafts, lease)
        with open_at(path, write=False) as reader:
            assert reader.events("r1")[1:] == appended
            assert [entry.event for entry in reader.events("r1")[1:]] == drawn
            assert reader.verify().ok


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, suffix: str) -> Path:
    return tmp_path_factory.mktemp("codec") / f"journal{suffix}"


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_event_comes_back_equal(data: st.DataObject, path: Path) -> None:
    """One event of each type with drawn fields, appended, read by another connection: equal."""
    forget(path)
    picked = data.draw(st.lists(st.sampled_from(EVENTS), min_size=1, max_size=4))
    drawn = [data.draw(instances(cls)) for cls in picked]
    with a_run(path) as (journal, lease):
        appended = [journal.append("r1", event, lease) for event in drawn]
    with open_at(path, write=False) as reader:
        read = reader.events("r1")[1:]
        assert read == appended
        assert [entry.event for entry in read] == drawn
        assert reader.verify().ok


@pytest.mark.parametrize("cls", EVENTS)
def test_each_type_comes_back_as_itself(cls: type[Event], path: Path) -> None:
    """The type of an event is kept by its name."""

    @settings(max_examples=1, derandomize=True, database=None, deadline=None)
    @given(event=instances(cls))
    def once(event: Event) -> None:
        forget(path)
        with a_run(path) as (journal, lease):
            journal.append("r1", event, lease)
            assert type(journal.events("r1")[-1].event) is cls

    once()


@settings(max_examples=25, deadline=None)
@given(event=instances(RunCreated))
def test_the_first_event_comes_back_equal(event: RunCreated, path: Path) -> None:
    """RunCreated as well, with whatever its definition holds; who is told needs one that is one."""
    if event.notify:
        plan = json.loads(json.dumps(definition().to_json()))
        event = replace(event, definition=plan, expiry=UNSET)
    forget(path)
    target = f"{event.saga}/{event.stack}"
    with open_at(path, write=True) as journal, journal.acquire(target, "r1") as lease:
        journal.create_run("r1", event, lease)
        assert [entry.event for entry in journal.events("r1")] == [event]
        assert journal.verify().ok
