# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the filter adds to the judgement: errors that Ansible shows. The judgement itself has its tests beside the module's."""

from __future__ import annotations

import pathlib

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.discovery.consul.plugins.filter.certificate_problem import certificate_problem
from ansible_collections.discovery.consul.plugins.module_utils._consul.certificates import Request, make

NAMES = ["DNS:server.dc1.consul"]


def test_a_certificate_is_judged_and_what_cannot_be_judged_is_an_error_for_ansible(tmp_path: pathlib.Path) -> None:
    make(Request(folder=str(tmp_path), name="a", common_name="server.dc1.consul", names=tuple(NAMES), authority_name="Consul"))
    own, authority = ((tmp_path / name).read_text() for name in ("servers/a.pem", "ca.pem"))
    assert certificate_problem(own, authority, NAMES) == ""
    assert certificate_problem(own, authority, [*NAMES, "IP:10.0.0.1"]) == "is not for IP:10.0.0.1"
    with pytest.raises(AnsibleFilterError, match="The authority's certificate cannot be read"):
        certificate_problem(own, "nothing", NAMES)
