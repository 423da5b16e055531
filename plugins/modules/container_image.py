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
      id:
        description:
          - ID that the image must have, like V(sha256:4f5d...). One with another ID counts as missing, and when what is
            then pulled or loaded has another one, too, the module fails.
        type: str
      pull:
        description:
          - When to pull - V(missing), when the engine does not hold the image; V(always), each time, which is only a
            change when another image comes; V(never).
          - With V(always), an image that is there will do where no registry answers.
        type: str
        choices: [missing, always, never]
        default: missing
      archive:
        description: Archive on the Docker host, made by C(docker save), to load a missing image from.
        type: path
      context:
        description: Folder on the Docker host to build a missing image from.
        type: path
      files:
        description:
          - What to build a missing image from, when that is on the controller; the filter
            P(discovery.consul.folder_archive#filter) makes it from a folder.
        type: str
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
      on_controller:
        description:
          - Whether a missing image comes from files of the controller. Nothing is tried then, and the entry is returned
            in RV(missing), for the files to be sent with another call.
        type: bool
        default: false
  also:
    description: Further images to remove with O(state=absent).
    type: list
    elements: str
    default: []
  state:
    description:
      - V(present) - the images are there.
      - V(absent) - those of them that were built here are gone, with what they replaced. Images from a registry stay.
    type: str
    choices: [present, absent]
    default: present
  docker_host:
    description: URL of the Docker engine, C($DOCKER_HOST) or V(unix:///var/run/docker.sock) when it is not given.
    type: str
  pull_pauses:
    description:
      - Seconds to wait after each try to pull that no registry answered, before the next one. There is one try more than there are pauses.
    type: list
    elements: float
    default: [2, 5]
  timeout:
    description: How many seconds the engine may be silent while it loads or builds. A pull ends by the engine's own rules.
    type: float
    default: 600
requirements:
  - docker (the Docker SDK for Python) >= 7.1.0
attributes:
  check_mode:
    description: Can run in check mode and return the changes that it would make.
    support: partial
    details:
      - Whether a registry answers is not found out in check mode. A missing image counts as pulled.
      - Where no engine answers, all images count as missing, for the engine may be what an earlier task would install.
  diff_mode:
    description: Returns what has changed or would change.
    support: full
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Consul, from a registry
  discovery.consul.container_image:
    images:
      - name: hashicorp/consul:2.0.4

- name: Consul, from an archive that was copied to the host
  discovery.consul.container_image:
    images:
      - name: hashicorp/consul:2.0.4
        archive: /srv/images/consul.tar

- name: An image that is built on the Docker host from a folder of the controller
  discovery.consul.container_image:
    images:
      - name: localhost/tools:1
        files: "{{ (playbook_dir ~ '/tools') | discovery.consul.folder_archive }}"
"""

RETURN = r"""
images:
  description: What became of each entry.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The image that is there, or is meant - the entry's, or its fallback.
      type: str
    action:
      description: V(none), V(pull), V(load), V(build), V(import), V(remove), or V(missing) when files of the controller are needed.
      type: str
    reason:
      description: Why the controller is needed, or why an older image was kept.
      type: str
    id:
      description: The image's ID; empty in check mode when it is not there yet.
      type: str
    version:
      description: What the image says its version is, in the label C(org.opencontainers.image.version).
      type: str
    architecture:
      description: What the image is for, like V(amd64); empty in check mode when it is not there yet.
      type: str
architecture:
  description: The machine that the engine runs on, like V(arm64). Images of another one cannot be expected to run. Empty where no engine answers.
  returned: always
  type: str
missing:
  description: The entries that can only be had with files of the controller.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The entry's name.
      type: str
    reason:
      description: What was tried, and the engine's answer.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.discovery.consul.plugins.module_utils._docker import image
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, LibraryMissingError
from ansible_collections.discovery.consul.plugins.module_utils._docker.errors import OperatorError, without_rights

ENTRY = {
    "name": {"type": "str", "required": True},
    "fallback": {"type": "str"},
    "id": {"type": "str"},
    "pull": {"type": "str", "choices": ["missing", "always", "never"], "default": "missing"},
    "archive": {"type": "path"},
    "context": {"type": "path"},
    "files": {"type": "str", "no_log": True},  # no secret, but too long for a log
    "digest": {"type": "str"},
    "rootfs": {"type": "path"},
    "arguments": {"type": "dict", "default": {}},
    "on_controller": {"type": "bool", "default": False},
}
ONE_SOURCE = [("archive", "context", "files", "rootfs", "on_controller")]


def run(module: AnsibleModule, engine: Engine) -> list[image.Outcome]:
    entries = [image.Entry(**entry, pull_pauses=module.params["pull_pauses"]) for entry in module.params["images"]]
    try:
        if module.params["state"] == "absent":
            names = [name for entry in entries for name in (entry.name, entry.fallback) if name] + module.params["also"]
            outcomes = [image.Outcome(name, "remove") for name in names if image.remove(engine, name, module.check_mode)]
            if outcomes and not module.check_mode:
                image.prune(engine)
            return outcomes
        return [image.settle(engine, entry, module.check_mode) for entry in entries]
    except OperatorError as exc:
        if not module.check_mode or not isinstance(exc.__cause__, (FileNotFoundError, ConnectionRefusedError)):
            raise
        module.warn(f"No Docker engine answers at {engine.host}. What would be done is told for one that holds no image.")
        return [image.Outcome(entry.name, image.way(entry)) for entry in entries] if module.params["state"] == "present" else []


def machine(engine: Engine) -> str:
    """The engine's machine, which check mode goes without where there is no engine yet."""
    try:
        return engine.architecture()
    except OperatorError:
        return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "images": {"type": "list", "elements": "dict", "required": True, "options": ENTRY, "mutually_exclusive": ONE_SOURCE},
            "also": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "docker_host": {"type": "str"},
            "pull_pauses": {"type": "list", "elements": "float", "default": [2, 5]},
            "timeout": {"type": "float", "default": 600},
        },
        supports_check_mode=True,
    )
    engine = Engine(module.params["docker_host"], module.params["timeout"])
    try:
        outcomes = run(module, engine)
    except LibraryMissingError as exc:
        module.fail_json(msg=missing_required_lib("docker"), exception=str(exc))
    except OperatorError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=without_rights(exc))
    acted = [one for one in outcomes if one.action != "none"]
    module.exit_json(
        changed=bool(acted),
        images=[vars(one) for one in outcomes],
        architecture=machine(engine),
        missing=[{"name": one.name, "reason": one.reason} for one in acted if one.action == "missing"],
        diff={
            "before": "".join(f"{one.name}: {'present' if one.action == 'remove' else 'absent'}\n" for one in acted),
            "after": "".join(f"{one.name}: {'absent' if one.action == 'remove' else one.action}\n" for one in acted),
        },
    )


if __name__ == "__main__":
    main()
