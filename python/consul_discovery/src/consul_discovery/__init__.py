# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: MIT
"""Services found with Consul, cached, called, and watched for changes.

::

    from consul_discovery import Client, NoInstances, NotReady

    with Client("http://127.0.0.1:8500", cache_file="/var/cache/app/services.json") as consul:
        web = consul.watch("web", tags=["v2"])
        web.wait(timeout=5)
        instance = web.pick()
        page = web.call(lambda i: get(i.url("/")), attempts=3, retry_on=(OSError,))
        stop = web.subscribe(print)
"""

from .changes import Change
from .client import Client
from .errors import Closed, ConfigurationError, DiscoveryError, NoInstances, NotReady, TooManyWatches
from .instance import Instance
from .strategies import Strategy, Tally, by_meta, least_outstanding, random, round_robin
from .watch import Watch

__all__ = [
    "Change",
    "Client",
    "Closed",
    "ConfigurationError",
    "DiscoveryError",
    "Instance",
    "NoInstances",
    "NotReady",
    "Strategy",
    "Tally",
    "TooManyWatches",
    "Watch",
    "by_meta",
    "least_outstanding",
    "random",
    "round_robin",
]
__version__ = "0.1.0"
