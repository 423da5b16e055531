#!/usr/bin/python

# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_image
short_description: Make container images present on a Docker host
version_added: "0.1.0"
author:
  - The discovery.consul contributors (@discovery-consul)
description:
  - Looks after a list of images in one call - those that are there cost nothing, the others are pulled, loaded or built.
options:
  images:
    description: The images, in order.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name and tag.
        type: str
        required: true
      fallback:
        description:
          - Image that will do when the engine holds it. Where O(images[].name) cannot be pulled because no registry
            answers, the entry is returned in RV(missing).
        type: str
      archive:
        description: Archive on the Docker host, made by C(docker save), to load a missing image from.
        type: path
      context:
        description: Folder on the Docker host to build a missing image from.
        type: path
      digest:
        description:
          - Digest of what the image is built from. An image that was built from something else counts as missing.
        type: str
      rootfs:
        description: Folder on the Docker host whose files become a missing image.
        type: path
      arguments:
        description: Arguments of the build.
        type: dict
        default: {}
  also:
    description: Further images to remove with O(state=absent).
    type: list
    elements: str
    default: []
  state:
    description:
      - V(present) - the images are there.
      - V(absent) - those of them that were built here are gone. Images from a registry stay.
    type: str
    choices: [present, absent]
    default: present
  docker_host:
    description: URL of the Docker engine, C($DOCKER_HOST) or V(unix:///var/run/docker.sock) when it is not given.
    type: str
  timeout:
    description: How many seconds one pull or build may take.
    type: float
    default: 600
requirements:
  - docker (the Docker SDK for Python) >= 5.0.3
attributes:
  action_group:
    description: Use C(group/discovery.consul.consul) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - discovery.consul.consul
  check_mode:
    description: Can run in check mode and return the changes that it would make.
    support: partial
    details:
      - Whether a registry answers is not found out in check mode. A missing image counts as pulled.
  diff_mode:
    description: Returns what has changed or would change.
    support: none
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Consul, from a registry
  discovery.consul.container_image:
    images:
      - name: hashicorp/consul:1.22.6

- name: Consul, from an archive that was copied to the host
  discovery.consul.container_image:
    images:
      - name: hashicorp/consul:1.22.6
        archive: /srv/images/consul-1.22.6.tar
"""

RETURN = r"""
images:
  description: What became of each entry - C(name) is the image that is there, C(action) is none, pull, load, build, import or remove.
  returned: always
  type: list
  elements: dict
missing:
  description: Names of the entries that can only be built with files of the controller.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.discovery.consul.plugins.module_utils._docker import image
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, LibraryMissingError
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError

ENTRY = {
    "name": {"type": "str", "required": True},
    "fallback": {"type": "str"},
    "archive": {"type": "path"},
    "context": {"type": "path"},
    "digest": {"type": "str"},
    "rootfs": {"type": "path"},
    "arguments": {"type": "dict", "default": {}},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "images": {"type": "list", "elements": "dict", "required": True, "options": ENTRY},
            "also": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "docker_host": {"type": "str"},
            "timeout": {"type": "float", "default": 600},
        },
        supports_check_mode=True,
    )
    engine = Engine(module.params["docker_host"], module.params["timeout"])
    entries = [image.Entry(**entry) for entry in module.params["images"]]
    try:
        if module.params["state"] == "absent":
            names = [name for entry in entries for name in (entry.name, entry.fallback) if name] + module.params["also"]
            outcomes = [image.Outcome(name, "remove") for name in names if image.remove(engine, name, module.check_mode)]
        else:
            outcomes = [image.settle(engine, entry, module.check_mode) for entry in entries]
    except LibraryMissingError as exc:
        module.fail_json(msg=missing_required_lib("docker"), exception=str(exc))
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    missing = [{"name": one.name, "reason": one.reason} for one in outcomes if one.action == "missing"]
    module.exit_json(changed=any(one.action != "none" for one in outcomes), images=[vars(one) for one in outcomes], missing=missing)


if __name__ == "__main__":
    main()
