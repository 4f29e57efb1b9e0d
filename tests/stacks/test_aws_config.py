"""Config that makes no stack is refused in one sentence, before AWS is asked for anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stacks.aws import dns, network


def test_one_more_zone_moves_no_other_subnet() -> None:
    two = network.subnets("10.0.0.0/16", 20, 2)
    assert two == ["10.0.0.0/20", "10.0.16.0/20", "10.0.32.0/20", "10.0.48.0/20"]
    assert network.subnets("10.0.0.0/16", 20, 3)[:4] == two


def test_rules_are_filled_up() -> None:
    common = {"cidr_blocks": ["0.0.0.0/0"], "description": ""}
    assert network.rules("ingress", [{"port": 80}, {"protocol": "-1"}]) == [
        {"protocol": "tcp", "from_port": 80, "to_port": 80, **common},
        {"protocol": "-1", "from_port": 0, "to_port": 0, **common},
    ]
    (ranged,) = network.rules("egress", [{"port": 1, "to_port": 9, "cidrs": ["10.0.0.0/8"]}])
    assert (ranged["from_port"], ranged["to_port"]) == (1, 9)
    assert ranged["cidr_blocks"] == ["10.0.0.0/8"]


def test_names_are_within_the_zone() -> None:
    assert dns.full("www", "example.com") == "www.example.com"
    assert dns.full("@", "example.com") == dns.full("", "example.com") == "example.com"


RECORD = {"name": "www", "type": "A", "values": ["192.0.2.1"]}
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "cidr": (lambda: network.subnets("10.0.0/16", 20, 1), "cidr '10.0.0/16' is none"),
    "host bits": (lambda: network.subnets("10.0.0.1/16", 20, 1), "has host bits set"),
    "prefix": (
        lambda: network.subnets("10.0.0.0/16", 8, 1),
        "must be from 16, as cidr has it, to 28, not 8",
    ),
    "room": (
        lambda: network.subnets("10.0.0.0/24", 26, 3),
        "holds 4 subnets of prefix length 26; 3 availability zones need 6",
    ),
    "rule": (lambda: network.rules("ingress", [{"prot": 1}]), "ingress: a rule has cidrs, desc"),
    "no port": (lambda: network.rules("egress", [{"protocol": "tcp"}]), "has a port, or the prot"),
    "two ports": (lambda: network.rules("egress", [{"protocol": "-1", "port": 1}]), "has a port"),
    "record": (lambda: dns.checked([{"name": "www"}]), "each has name, type and values"),
    "type": (lambda: dns.checked([{**RECORD, "type": "ALIAS"}]), "'www' has the type 'ALIAS'"),
    "values": (lambda: dns.checked([{**RECORD, "values": []}]), "must be a list, not empty"),
    "twice": (lambda: dns.checked([RECORD, RECORD]), "'www' is there twice with type A"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_makes_no_stack_is_refused(what: str) -> None:
    make, told = WRONG[what]
    with pytest.raises(ValueError, match=told):
        make()
