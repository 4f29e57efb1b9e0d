"""The saga of examples/aws_localstack.py. Examples are scripts, and no package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parents[3] / "examples" / "aws_localstack.py"
_SPEC = importlib.util.spec_from_file_location("aws_localstack", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

FAULTS = _MODULE.FAULTS
aws_saga = _MODULE.aws_saga
