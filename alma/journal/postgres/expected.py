"""What the next append will find, unless somebody else adds something: what the last one left.

Who expects it need not ask first: the server holds the expectation against what is there, in the
transaction of the append, and refuses the whole of it where they differ. So an append is a single
exchange with the server, and decided on no less than one that has asked.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from alma.journal.rows import Place, SealRow

# A division by zero is what undoes a transaction from within a SELECT. Nothing else divides. The
# hash is of the last event of all, and by its chain of each before it.
CHECK: Final = """
SELECT 1 / (
    coalesce((SELECT target FROM runs WHERE run = %(run)s) = %(target)s, false)
    AND coalesce((SELECT max(epoch) FROM leases WHERE target = %(target)s) = %(epoch)s, false)
    AND coalesce((SELECT hash FROM events ORDER BY position DESC LIMIT 1) = %(last)s, false)
    AND EXISTS (
        SELECT FROM seals WHERE run = %(run)s AND seq = %(seq)s AND hash = %(hash)s
        AND digest = %(digest)s AND mac = %(mac)s
    )
)::int"""


class Expected(NamedTuple):
    """The place that events of a run go to, and the run's seal."""

    run: str
    place: Place
    seal: SealRow

    def is_for(self, run: str, target: str) -> bool:
        """Whether that is the place which is asked for."""
        return (self.run, self.place.target) == (run, target)

    def values(self) -> dict[str, Any]:
        """What CHECK is given."""
        place = {"target": self.place.target, "epoch": self.place.epoch, "last": self.place.hash}
        return place | self.seal._asdict()
