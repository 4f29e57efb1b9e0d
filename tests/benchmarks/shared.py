"""A chain over what several hosts share: states in S3 (LocalStack), alma's journal in Postgres."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.benchmarks import stacks
from tests.benchmarks.room import Room, projects
from tests.benchmarks.timing import Arm
from tests.services import localstack, postgres
from tests.services.states import BucketStates

BUCKET = "states"
KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
"""Of the journals: those that are shared have none by themselves."""


@contextmanager
def chain(directory: Path) -> Iterator[list[Arm]]:
    """The arms of the chain but for the one that is no target; both services run beside them."""
    aws, database = directory / "aws", directory / "postgres"
    aws.mkdir()
    database.mkdir()
    with localstack.running(aws) as there, postgres.running(database) as server:
        states = BucketStates(there, BUCKET, there.url)
        states.client().create_bucket(Bucket=BUCKET)

        def share(room: Room) -> None:
            room.environment.update(states.environment())
            room.environment["PULUMI_BACKEND_URL"] = states.url(f"room-{uuid4().hex[:8]}")

        def with_journal(room: Room) -> None:
            share(room)
            name = f"room_{uuid4().hex[:8]}"
            server.execute(f"CREATE DATABASE {name}")
            room.environment["ALMA_JOURNAL_KEY"] = KEY
            room.environment["ALMA_JOURNAL"] = server.url_of(name).replace("s:", "sql:", 1)

        def bare(room: Room) -> None:
            share(room)
            projects(room, stacks.CHAIN)

        ours, _, theirs = stacks.chain()
        phases = {name: ours.phases[name] for name in ("fresh", "no-op")}
        yield [
            Arm("A", phases, ours.answers, with_journal),
            Arm("C", theirs.phases, theirs.answers, bare),
        ]
