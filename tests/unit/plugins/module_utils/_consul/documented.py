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
- `operator/autopilot.mdx`, "Read the Autopilot State" (since 1.9) is not asked for: "Read Health" has what the rules need, in every release.
- `operator/keyring.mdx`, "List Gossip Encryption Keys": `PrimaryKeys` beside `Keys`.
- `api-structure.mdx`, "Results filtered by ACLs": the same header for every list, since 1.11.

Refusals are in no sample; they are quoted as users reported them, with the numbers of the issues in hashicorp/consul.
"""

from __future__ import annotations

import typing as t

from consul_answers import recorded

RELEASES = ("1.15.10", "1.18.2", "1.20.6", "1.22.7", "2.0.4")

FILTERED = {"X-Consul-Results-Filtered-By-ACLs": "true"}

DENIED = (
    "Permission denied",  # as recorded with 1.8.7
    "Permission denied: token with AccessorID '00000000-0000-0000-0000-000000000002' lacks permission 'operator:read'",
    # Issue 20807, of 1.16.
    "Permission denied: anonymous token lacks permission 'agent:read' on \"s1\". "
    "The anonymous token is used implicitly when a request does not specify a token.",
)

KEYS = [
    {"WAN": True, "Datacenter": "dc1", "Segment": "", "Keys": {"one": 3, "two": 3}, "PrimaryKeys": {"one": 3}, "NumNodes": 3},
    {"WAN": False, "Datacenter": "dc1", "Segment": "", "Keys": {"one": 4, "two": 4}, "PrimaryKeys": {"one": 4}, "NumNodes": 4},
]

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
