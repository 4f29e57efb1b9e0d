"""Playbooks that change the machine that they are played on: files in a directory."""

from __future__ import annotations

from pathlib import Path

SITE = """
- hosts: all
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: make the files
      ansible.builtin.lineinfile:
        path: "{{ world }}/{{ item }}"
        line: made
        create: true
        mode: "0600"
      loop: "{{ names }}"

    - name: tell the password
      ansible.builtin.debug:
        msg: "the password is {{ password }}"

    - name: wait at the gate
      ansible.builtin.shell: |
        touch "{{ gate }}.begun"
        until [ -e "{{ gate }}" ]; do sleep 0.05; done
      when: gate | default("") | length > 0

    - name: have room for all
      ansible.builtin.fail:
        msg: no room for it
      when: broken | default(false) | bool

    - name: say what was made
      ansible.builtin.set_stats:
        data:
          files: "{{ names }}"
          token: "token-of-{{ names | join('-') }}"
"""

UNDO = """
- hosts: all
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: take the files away
      ansible.builtin.file:
        path: "{{ world }}/{{ item }}"
        state: absent
      loop: "{{ names }}"

    - name: be stuck
      ansible.builtin.command: "false"
      when: stuck | default(false) | bool
"""


def playbooks(directory: Path) -> None:
    """Write them there."""
    directory.mkdir(exist_ok=True)
    (directory / "site.yml").write_text(SITE)
    (directory / "undo.yml").write_text(UNDO)


SAGA = """
import os
from pathlib import Path
from alma import Saga, Secret

saga = Saga("shop", stack="dev")
here = Path(__file__).parent
saga.add_ansible(
    "balancer",
    here / "plays" / "site.yml",
    undo_playbook=here / "plays" / "undo.yml",
    inventory="localhost,",
    variables={
        "world": str(here / "world"),
        "names": ["a", "b"],
        "password": Secret("canary-7Qx9wV-secret"),
        "gate": os.environ.get("GATE", ""),
    },
)
"""
