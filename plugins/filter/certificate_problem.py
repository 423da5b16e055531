# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_problem
short_description: Why a certificate of a server cannot be used for another month
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Judges as the module M(discovery.consul.consul_certificate) does, which would make the certificate anew.
positional: authority, names
options:
  _input:
    description: The certificate in PEM format.
    type: str
    required: true
  authority:
    description: Certificate of the authority in PEM format.
    type: str
    required: true
  names:
    description: What the certificate has to be for, as O(discovery.consul.consul_certificate#module:names) takes it.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'server1.pem') | discovery.consul.certificate_problem(lookup('ansible.builtin.file', 'ca.pem'), ['IP:10.0.0.1']) }}"
"""

RETURN = r"""
_value:
  description: What is wrong, like V(ends within 30 days); empty when nothing is.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.discovery.consul.plugins.module_utils._consul.certificates import problem
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError


def certificate_problem(certificate: str, authority: str, names: list[str]) -> str:
    """What is wrong with it, or nothing."""
    try:
        return problem(certificate, authority, names)
    except OperatorError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filter for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"certificate_problem": certificate_problem}
