"""By what the secrets of stacks are encrypted that were there before: that stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from alma.pulumi.engine import Engine, StackRef


async def otherwise_encrypted(
    engine: Engine, refs: Sequence[StackRef], asked: str
) -> tuple[str, ...]:
    """A sentence for each stack that would have this provider if it were new, and has another."""
    meant = [ref for ref in refs if ref.options.secrets_provider == asked]
    documents = await asyncio.gather(*(engine.export(ref) for ref in meant))
    return tuple(
        f"the secrets of stack {ref.project}/{ref.stack} stay encrypted by {there}: {asked} is for "
        "new stacks, and `pulumi stack change-secrets-provider` for those that are there"
        for ref, document in zip(meant, documents, strict=True)
        if (there := _provider(document or {})) not in ("", asked)
    )


def _provider(document: Mapping[str, Any]) -> str:
    """Its name or URL; empty where nothing is said of it."""
    said = (document.get("deployment") or {}).get("secrets_providers") or {}
    kind = str(said.get("type") or "")
    return str((said.get("state") or {}).get("url", "")) if kind == "cloud" else kind
