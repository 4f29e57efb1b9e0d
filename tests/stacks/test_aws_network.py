"""What network and DNS make of their config."""

from __future__ import annotations

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
