"""What the attackers' tests share: they are run as a user would run alma, in an empty directory."""

from __future__ import annotations

from tests.steps.conftest import own_temporary, place

__all__ = ["own_temporary", "place"]
