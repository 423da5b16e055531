# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: token_secrets
short_description: Tokens together with their secrets, which files on the controller keep
version_added: "0.2.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Gives the tokens as they are, and those that have no secret together with the one in the file C(tokens/NAME) of a folder. The module
    M(discovery.consul.consul_secrets) makes these files. They can be encrypted with C(ansible-vault).
options:
  _terms:
    description: Tokens, as the option O(discovery.consul.consul_acl#module:tokens) takes them.
    type: list
    elements: dict
    required: true
  folder:
    description: The folder.
    type: str
    required: true
  missing:
    description: Whether a missing file is an error, or leaves the token without a secret, as check mode takes it.
    type: str
    choices: [error, ignore]
    default: error
"""

EXAMPLES = r"""
- name: Make the token of an application with the secret in secrets/dc1/tokens/shop
  discovery.consul.consul_acl:
    owner: shop
    tokens: "{{ query('discovery.consul.token_secrets', [{'name': 'shop'}], folder=playbook_dir ~ '/secrets/dc1') }}"
"""

RETURN = r"""
_list:
  description: The tokens, each with its C(secret).
  type: list
  elements: dict
"""

import os
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

Json = t.Dict[str, t.Any]


def with_secrets(tokens: t.Iterable[Json], folder: str, missing: str, read: t.Callable[[str], str]) -> list[Json]:
    """The tokens, each with the secret that it names or that its file has. What is absent needs none."""
    return [one if one.get("secret") or one.get("state") == "absent" else {**one, "secret": _secret(one["name"], folder, missing, read)} for one in tokens]


def _secret(name: str, folder: str, missing: str, read: t.Callable[[str], str]) -> str:
    path = os.path.join(folder, "tokens", name)
    if os.path.isfile(path):
        return str(read(path)).strip()
    if missing == "ignore":
        return ""
    raise AnsibleLookupError(f"The token {name} has no secret: {path} does not exist. Run without --tags, which makes it, or give the secret.")


class LookupModule(LookupBase):
    """The lookup for Ansible."""

    def run(self, terms: list[t.Any], variables: Json | None = None, **kwargs: t.Any) -> list[Json]:
        self.set_options(var_options=variables, direct=kwargs)
        tokens = [one for term in terms for one in (term if isinstance(term, list) else [term])]
        return with_secrets(tokens, self.get_option("folder"), self.get_option("missing"), self._loader.get_text_file_contents)
