# Copyright (c) The discovery.consul contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What the Consul in an image says of itself: its release, and whether it takes a configuration."""

from __future__ import annotations

import fcntl
import json
import os
import typing as t

from ansible_collections.discovery.consul.plugins.module_utils._consul import versions
from ansible_collections.discovery.consul.plugins.module_utils._consul.config import ConfigError
from ansible_collections.discovery.consul.plugins.module_utils._docker import throwaway
from ansible_collections.discovery.consul.plugins.module_utils._docker.engine import Engine, EngineError

Json = t.Dict[str, t.Any]

CACHE = "/var/cache/discovery.consul"
STAGED_FOLDER = "/staged"
STAGED = f"{STAGED_FOLDER}/consul.json"


def version_of(engine: Engine, image: Json) -> versions.Version:
    """The release of the Consul in `image`: asked of the program itself, once per image id and Docker host."""
    os.makedirs(CACHE, mode=0o755, exist_ok=True)
    path = os.path.join(CACHE, image["Id"].replace(":", "-"))
    with open(path, "a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # several nodes on one host ask at the same time
        file.seek(0)
        known = file.read().strip()
        if not known:
            code, output = throwaway.run(engine, image["Id"], "consul", ["version"])
            if code != 0:
                raise EngineError(
                    f"The image {image['Name']} does not run Consul: 'consul version' ended with {code}: {output[-500:]} Name an image of Consul."
                )
            known = versions.show(versions.parse(output))
            file.write(known + "\n")
    return versions.parse(known)


def validate(engine: Engine, image: Json, config: Json, extra: t.Mapping[str, str], wanted: Json) -> None:
    """Let the very image judge the configuration and the files that come after it; ConfigError with its own words when it does not take them."""
    # With the host's network an agent may choose its address by itself, and then it has to see the host's.
    network = "host" if wanted["HostConfig"]["NetworkMode"] == "host" else "none"
    staged = {STAGED: json.dumps(config).encode(), **{f"{STAGED_FOLDER}/{name}": text.encode() for name, text in extra.items()}}
    code, output = throwaway.run(engine, image["Id"], "consul", ["validate", *staged], staged, {"NetworkMode": network})
    if code != 0:
        reason = output.replace(STAGED, "the configuration").replace(f"{STAGED_FOLDER}/", "")[-1000:]
        raise ConfigError(f"Consul {versions.show(version_of(engine, image))} in {image['Name']} refuses the configuration: {reason}")
