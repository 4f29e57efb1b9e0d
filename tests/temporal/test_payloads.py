"""What is taken from Temporal: what the journal's key has sealed, and texts that are open."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload

from alma.errors import AuthenticationError
from alma.journal import open_journal
from alma.runner.temporal.orders import OpenText, Order
from alma.runner.temporal.payloads import converter

ORDER = Order(
    run="r", target="shop/dev", saga="shop", stack="dev", how="rollback", heartbeat=30.0, epoch=0
)


async def test_who_has_not_the_key_orders_nothing(tmp_path: Path) -> None:
    """Not by what looks like a text that is meant to be seen, either."""
    with open_journal(tmp_path / "journal.db", write=True) as journal:
        journal.keys.prepare()
        found = converter(journal.keys)
        sealed = await found.encode([ORDER])
        assert b"shop" not in sealed[0].data
        assert await found.decode(sealed, [Order]) == [ORDER]
        (text,) = await found.encode([OpenText("shop/dev")])
        assert text.data == b'"shop/dev" '
        assert await found.decode([text], [str]) == ["shop/dev"]
        for end in ("", " "):
            data = json.dumps(asdict(ORDER)).encode() + end.encode()
            forged = Payload(metadata={"encoding": b"json/plain"}, data=data)
            with pytest.raises(AuthenticationError, match="not sealed under the journal's key"):
                await found.decode([forged], [Order])
