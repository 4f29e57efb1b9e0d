"""The providers' own pages as they stand: the examples that the SDKs bring along are sent as is."""

from __future__ import annotations

import importlib.util
import re
import textwrap
import types
from pathlib import Path

import pytest

from alma import Saga
from alma.pulumi.programs import serialize_program

_EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)
_IMPORT = re.compile(r"(import|from) ")
_PAGES = {
    "pulumi_aws": ["sqs/queue.py", "sns/topic.py", "s3/bucket.py", "lambda_/function.py"],
    "pulumi_docker": ["container.py", "image.py", "network.py", "remote_image.py"],
    "pulumi_kubernetes": ["apps/v1/Deployment.py", "core/v1/Service.py", "yaml/v2/ConfigGroup.py"],
}


def _examples(package: str) -> list[str]:
    """Each example of these pages, once."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    pages = (Path(spec.origin).parent.joinpath(page).read_text() for page in _PAGES[package])
    found = (text for page in pages for text in _EXAMPLE.findall(page))
    return list(dict.fromkeys(textwrap.dedent(text).replace('\\"', '"') for text in found))


@pytest.mark.parametrize("package", _PAGES)
def test_what_a_page_shows_is_sent_as_it_stands(package: str) -> None:
    """Its imports at the top of the saga's file, the rest in a function."""
    sent = 0
    for number, text in enumerate(_examples(package)):
        lines = text.splitlines()
        top = [line for line in lines if _IMPORT.match(line)]
        body = [line for line in lines if not _IMPORT.match(line)]
        source = "\n".join([*top, "def program():", *(f"    {line}" for line in body), "    pass"])
        module = types.ModuleType(f"page_{number}")
        try:
            exec(compile(source, module.__name__, "exec"), vars(module))  # noqa: S102
        except ModuleNotFoundError:
            continue  # another provider's SDK
        Saga("pages").add_stack("page", program=module.program)
        assert serialize_program(module.program, by_value=[module])
        sent += 1
    assert sent >= 3
