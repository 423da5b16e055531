# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: consul_service
short_description: Instances of a service that are passing in Consul
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Finds where a service is to be called. Only instances count all of whose checks are passing, those of their node included.
  - Nothing needs to be installed on the controller for it.
  - It is done at each use of an expression. Keep what several tasks need in a fact.
  - Names, tags and metadata are data of whoever registers them. They are never templates.
extends_documentation_fragment:
  - discovery.consul.reader
  - discovery.consul.reader.plugin
options:
  _terms:
    description: Names of services.
    type: list
    elements: str
    required: true
  tag:
    description: Tags that an instance must have, all of them.
    type: list
    elements: str
    default: []
  want:
    description:
      - V(one) - an instance, the same in each run while it is passing - the first by datacenter as they are asked, by node and by id. None is an error.
      - V(list) - all instances, in that order, and an empty list when there is none.
      - V(url) - where the instance that V(one) finds is called, like C(http://10.0.0.21:8080).
    type: str
    choices: [one, list, url]
    default: one
  scheme:
    description: What a URL begins with, for O(want=url).
    type: str
    default: http
notes:
  - The token needs C(service:read) on the service and C(node:read) on its nodes. Consul does not tell whether a token may not see a service or
    there is none, so O(want=list) warns when nothing at all is shown.
"""

EXAMPLES = r"""
---
- name: Wait for the web service
  ansible.builtin.uri:
    url: "{{ lookup('discovery.consul.consul_service', 'web', tag='v2', want='url') }}/health"

- name: Tell where the database is
  ansible.builtin.debug:
    msg: "{{ database.address }} port {{ database.port }}"
  vars:
    database: "{{ lookup('discovery.consul.consul_service', 'postgres', tag='primary') }}"

- name: Show all instances
  ansible.builtin.debug:
    msg: "{{ item.node }}: {{ item.address }}:{{ item.port }}"
  loop: "{{ lookup('discovery.consul.consul_service', 'web', want='list') }}"
"""

RETURN = r"""
_raw:
  description:
    - For each name what O(want) asks for. An instance has C(service), C(id), C(address), C(port), C(tags), C(meta), C(node), C(datacenter) and C(status).
  type: list
"""

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.discovery.consul.plugins.module_utils._consul.reader import Reader
from ansible_collections.discovery.consul.plugins.module_utils._consul.services import find, url
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError


class LookupModule(LookupBase):
    """The lookup for Ansible."""

    def run(self, terms: list[t.Any], variables: t.Any = None, **kwargs: t.Any) -> list[t.Any]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            reader = Reader.of(self.get_options())
            return wrap_var([self._one(reader, term) for term in terms])
        except OperatorError as exc:
            raise AnsibleError(str(exc)) from None

    def _one(self, reader: Reader, name: t.Any) -> t.Any:
        if not isinstance(name, str):
            raise OperatorError(f"The name of a service is a text, not {name!r}.")
        found = find(reader, name, self.get_option("tag"), self.get_option("datacenters"))
        if self.get_option("want") == "list":
            if not found.registered:
                self._display.warning(found.trouble)
            return found.passing
        if not found.passing:
            raise OperatorError(found.trouble)
        return found.passing[0] if self.get_option("want") == "one" else url(found.passing[0], self.get_option("scheme"))
