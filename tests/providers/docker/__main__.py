from __future__ import annotations

from tests.providers.base import serve
from tests.providers.docker.provider import PROVIDER

serve(PROVIDER)
