"""Counts that depend on no machine: CLI processes for each stack, and for what is done already."""

from __future__ import annotations

from tests.benchmarks.room import House, script
from tests.benchmarks.timeline import trace

CHAIN = 5
_GO_ON = ["alma-pulumi", "resume", "latest"]


def processes(house: House) -> dict[str, float]:
    """CLI processes by what was done, for one stack."""
    up, broken = script("alma_chain.py", CHAIN), script("alma_chain.py", CHAIN, "broken")
    plain, failing = script("api_chain.py", CHAIN), script("api_chain.py", CHAIN, "broken")
    half = [script("alma_half.py", CHAIN, what) for what in ("run", "resume")]
    undone = 2 * CHAIN
    plainly = _clis(house, [plain])
    return {
        "new": _clis(house, [up]) / CHAIN,
        "no-op": _clis(house, [up, up]) / CHAIN,
        "undone": (_clis(house, [broken]) - undone) / CHAIN,
        "resumed, finished": float(_clis(house, [up, _GO_ON])),
        # The step that had failed is brought up again; its record is there already.
        "resumed, half done": float(_clis(house, half) - 1),
        "B, new": plainly / CHAIN,
        "B, no-op": _clis(house, [plain, plain]) / CHAIN,
        "B, undone": (_clis(house, [failing]) - plainly) / CHAIN,
    }


def _clis(house: House, commands: list[list[str]]) -> int:
    return sum(span.kind == "cli" for span in trace(house, commands).spans)
