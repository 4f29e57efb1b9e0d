"""Config that AWS would refuse is refused before anything is made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ZONES = {"availability_zones": ["a", "b"]}
SERVERS = {"ami": "ami-1", "subnet_ids": ["subnet-1"], "security_group_ids": ["sg-1"]}
RECORD = {"name": "w", "type": "A", "values": ["192.0.2.1"]}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("storage", {"expire_old_versions": -1}, "expire_old_versions must be a number of days"),
    ("messaging", {"max_receive_count": 0}, "max_receive_count must be from 1 to 1000, not 0."),
    ("messaging", {"retention": 30}, "retention must be from 60 to 1209600, not 30."),
    ("messaging", {"visibility_timeout": 50000}, "visibility_timeout must be from 0 to 43200"),
    ("secrets", {"recovery_days": 3}, "recovery_days must be 0, or from 7 to 30, not 3."),
    ("secrets", {"length": 4}, "length must be from 8 to 4096, not 4."),
    ("secrets", {"parameters": ["a"]}, "parameters must be a JSON object of strings."),
    ("secrets", {"secure_parameters": {"a": 1}}, "secure_parameters must be a JSON object of str"),
    ("secrets", {"parameters": {"secret-arn": "x"}}, "there are two parameters 'secret-arn'."),
    (
        "network",
        {"availability_zones": ["a", "a"]},
        "availability_zones must be a list of different",
    ),
    ("network", {**ZONES, "cidr": "10.0.0/16"}, "cidr '10.0.0/16' is none: "),
    (
        "network",
        {**ZONES, "cidr": "10.0.0.1/16"},
        "cidr '10.0.0.1/16' is none: 10.0.0.1/16 has host",
    ),
    ("network", {**ZONES, "subnet_prefix": 8}, "subnet_prefix must be from 16, as cidr has it, to"),
    (
        "network",
        {**ZONES, "cidr": "10.0.0.0/24", "subnet_prefix": 25},
        "cidr '10.0.0.0/24' holds 2 ",
    ),
    ("network", {**ZONES, "ingress": {"port": 1}}, "ingress must be a JSON list of objects, not"),
    (
        "network",
        {**ZONES, "ingress": [{"prot": 1}]},
        "ingress: a rule has cidrs, description, port",
    ),
    (
        "network",
        {**ZONES, "egress": [{"protocol": "tcp"}]},
        "egress: a rule has a port, or the prot",
    ),
    ("servers", {**SERVERS, "count": 0}, "count must be at least 1, not 0."),
    ("servers", {**SERVERS, "subnet_ids": []}, "subnet_ids must be a JSON list of ids, not []."),
    (
        "servers",
        {**SERVERS, "managed_policies": {"a": 1}},
        "managed_policies must be a JSON list of",
    ),
    ("dns", {"zone": "a.b", "records": {}}, "records must be a JSON list of objects, not {}."),
    ("dns", {"zone": "a.b", "records": [{"name": "w"}]}, "records: each has name, type and values"),
    (
        "dns",
        {"zone": "a.b", "records": [{**RECORD, "type": "X"}]},
        "records: 'w' has the type 'X'; ",
    ),
    (
        "dns",
        {"zone": "a.b", "records": [{**RECORD, "values": []}]},
        "records: values of 'w' must be",
    ),
    (
        "dns",
        {"zone": "a.b", "records": [RECORD, RECORD]},
        "records: 'w' is there twice with type A",
    ),
    ("storage", {"tags": {"a": 1}}, "tags must be a JSON object of strings, not {'a': 1}."),
]

# In a process of its own, which loads pulumi-aws. Pulumi's mocks would count what is made.
PROGRAM = """
import asyncio, importlib, json, sys
import pulumi
from pulumi.runtime import mocks

class Nothing(mocks.Mocks):
    def new_resource(self, args):
        raise SystemExit(f"{args.name} was made")
    def call(self, args):
        return {}

asyncio.set_event_loop(asyncio.new_event_loop())
pulumi.runtime.set_mocks(Nothing(), project="shop", stack="dev")
for stack, config in json.load(sys.stdin):
    texts = {f"shop:{k}": v if isinstance(v, str) else json.dumps(v) for k, v in config.items()}
    pulumi.runtime.set_all_config(texts)
    try:
        importlib.import_module(f"stacks.aws.{stack}").program()
        print("taken")
    except ValueError as error:
        print(error)
"""


def test_bad_config_is_refused_in_a_sentence_before_anything_is_made() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([case[:2] for case in BAD]),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for said, (stack, config, expected) in zip(done.stdout.splitlines(), BAD, strict=True):
        assert said.startswith(expected), (stack, config, said)
