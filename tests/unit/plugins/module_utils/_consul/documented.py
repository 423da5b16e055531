# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What newer releases answer, as their documentation says: nobody has run these here.

The values are those of the recorded cluster. The shapes are those of the samples in the HTTP API's documentation, read at
https://developer.hashicorp.com/consul/api-docs (for 2.0 in hashicorp/web-unified-docs, content/consul/v2.0.x/content/api-docs):

- `agent/index.mdx`, "Read Configuration": `Config` keeps its format, and `DebugConfig` may change without notice. `Stats` is in no sample.
  From 1.12 on the settings of TLS have a group of their own, as they have in the configuration.
- `agent/index.mdx`, "List Members": the header `X-Consul-Results-Filtered-By-ACLs` says that members were left out.
- `operator/raft.mdx`, "Read Configuration": a server has `ID`, `Node`, `Address`, `Leader` and `Voter`, and no more for sure.
- `operator/autopilot.mdx`, "Read Health": as in 1.8; the status is 429 when `Healthy` is false. "Read Configuration": no `MinQuorum` while it is not set.
- `operator/keyring.mdx`, "List Gossip Encryption Keys": `PrimaryKeys` beside `Keys`.
"""

from __future__ import annotations

import typing as t

from consul_answers import recorded

RELEASES = ("1.15.10", "1.18.2", "1.20.6", "1.22.7", "2.0.4")

RAFT_SERVER = ("ID", "Node", "Address", "Leader", "Voter")


def documented(release: str, stats: bool = True) -> t.Any:
    """A healthy cluster of a release, with or without the undocumented `Stats`."""
    data = recorded("healthy")
    for answers in data["nodes"].values():
        for own in [answer["data"] for name, answer in answers.items() if name in ("self", "settled")]:
            own["Config"]["Version"] = release
            debug = own["DebugConfig"]
            own["DebugConfig"] = {"TLS": {"InternalRPC": {key: value for key, value in debug.items() if key.startswith("Verify")}}}
            if not stats:
                del own["Stats"]
        for member in answers["members"]["data"]:
            member["Tags"]["build"] = f"{release}:deadbeef"
        if "raft" in answers:
            _raft(answers["raft"]["data"])
    _raft(data["cluster"]["raft"]["data"])
    for server in data["cluster"]["autopilot"]["data"]["Servers"]:
        server["Version"] = release
    return data


def _raft(configuration: t.Any) -> None:
    configuration["Servers"] = [{key: server[key] for key in RAFT_SERVER} for server in configuration["Servers"]]
