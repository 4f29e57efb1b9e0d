"""A saga in YAML of several kinds of steps, with most options, and the same in Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alma import LocalStack, Request, Retry, Saga, Secret
from alma.core.definition import Definition

YAML = """
name: shop
stack: ${params.stack}
organization: acme
parallelism: 2
on_failure: stop
backend: file:///tmp/state
secrets_provider: hashivault://shop
aws: {url: "http://localhost:4566", region: eu-west-1}

params:
  stack: {enum: [dev, prod], default: dev}
  count: {type: integer, default: 2, minimum: 1}
  labels: {type: object, items: {type: string}, default: {team: shop}}
  token: {secret: true}

x-patient: &patient
  retry: {attempts: 3, delay: 0.5}
  timeout: 60

steps:
  - name: database
    kind: stack
    program: parts:database
    config:
      greeting: "${params.count} of ${params.labels.team}, $${literally}"
      labels: ${params.labels}
      at: 2026-01-01
      password: {secret: "pw-${env.PASSWORD}"}
      token: ${params.token}
      bearer: Bearer ${params.token}
      known: {secret: {plain: public-by-choice}}
      nested: {$$secret: no secret, list: [1, 2.5, true, "yes", 0x1F]}
    compensation: parts:drain
    resolver: parts:find
    existed: parts:look
    ready: parts:look
    depends_on: []
  - <<: *patient
    name: network
    kind: terraform
    work_dir: module
    variables: {size: "${params.count}"}
    workspace: blue
    inputs:
      url: ${database.url}
  - name: settings
    kind: stack
    work_dir: project
    compensation: restore
    config: {region: here}
    inputs: {db_url: "${database.url}"}
    depends_on: [network, web]
    pivot: true
    watch: [module, "project/*.yaml"]
    compensation_timeout: 1.5
  - name: web
    kind: ansible
    playbook: site.yml
    undo_playbook: unsite.yml
    inventory: localhost,
    variables: {port: 8080}
    secret_outputs: [key]
    optional_hosts: [db]
    inputs: {password: "${database.password}"}
  - name: dns
    kind: http
    do:
      method: post
      url: https://dns.example.com/records
      json: {name: www, address: "{inputs.address}"}
      headers: {Authorization: "Bearer ${params.token}", Accept: application/json}
      expect: [200, 201]
    undo: {method: DELETE, url: "https://dns.example.com/records/{outputs.id}"}
    check:
      method: GET
      url: https://dns.example.com/records/{outputs.id}
      expect: {state: gone}
    secret_outputs: [id]
    inputs: {address: "${web.address}"}
    compensation_retry: {attempts: 2}
  - name: notice
    kind: action
    action: parts:tell
    compensation: none
    ready: {method: GET, url: "https://shop.example.com/health", expect: 200}
    ready_timeout: 20
"""

PARTS = """
def database(): pass
def drain(): pass
def find(pending): pass
def look(): return []
def tell(context): pass
"""


def in_python(folder: Path, parts: Any) -> Saga:
    """The same, as Python has it."""
    token, team = Secret("t0ken"), {"team": "shop"}
    saga = Saga(
        "shop",
        stack="dev",
        organization="acme",
        parallelism=2,
        on_failure="stop",
        backend="file:///tmp/state",
        secrets_provider="hashivault://shop",
        aws=LocalStack("http://localhost:4566", "eu-west-1"),
    )
    database = saga.add_stack(
        "database",
        program=parts.database,
        config={
            "greeting": "2 of shop, ${literally}",
            "labels": team,
            "at": "2026-01-01",
            "password": Secret("pw-hunter22"),
            "token": token,
            "bearer": Secret("Bearer t0ken"),
            "known": Secret("public-by-choice"),
            "nested": {"secret": "no secret", "list": [1, 2.5, True, "yes", 31]},
        },
        compensation=parts.drain,
        resolver=parts.find,
        existed=parts.look,
        ready=parts.look,
        after=[],
    )
    saga.add_terraform(
        "network",
        folder / "module",
        variables={"size": 2},
        workspace="blue",
        inputs={"url": database.output("url")},
        retry=Retry(attempts=3, delay=0.5),
        timeout=60,
    )
    saga.add_stack(
        "settings",
        work_dir=folder / "project",
        compensation="restore",
        config={"region": "here"},
        inputs={"db_url": database.output("url")},
        after=["network", "web"],
        pivot=True,
        watch=[folder / "module", folder / "project/*.yaml"],
        compensation_timeout=1.5,
    )
    web = saga.add_ansible(
        "web",
        folder / "site.yml",
        undo_playbook=folder / "unsite.yml",
        inventory="localhost,",
        variables={"port": 8080},
        secret_outputs=["key"],
        optional_hosts=["db"],
        inputs={"password": database.output("password")},
    )
    record = "https://dns.example.com/records/{outputs.id}"
    saga.add_http(
        "dns",
        do=Request(
            "POST",
            "https://dns.example.com/records",
            json={"name": "www", "address": "{inputs.address}"},
            headers={"Authorization": Secret("Bearer t0ken"), "Accept": "application/json"},
            expect=(200, 201),
        ),
        undo=Request("DELETE", record),
        check=Request("GET", record, expect={"state": "gone"}),
        secret_outputs=["id"],
        inputs={"address": web.output("address")},
        compensation_retry=Retry(attempts=2),
    )
    saga.add_step(
        "notice",
        action=parts.tell,
        compensation="none",
        ready=Request("GET", "https://shop.example.com/health", expect=200),
        ready_timeout=20,
    )
    return saga


def text_of(definition: Definition) -> str:
    return json.dumps(definition.to_json(), default=lambda one: ["secret", one.value], indent=1)
