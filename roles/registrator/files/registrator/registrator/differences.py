# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between what should be registered of one container and what is: a pure function."""

from __future__ import annotations

import typing as t

from .service import Entry, Service


class Differences(t.NamedTuple):
    """What has to be written, in this order."""

    deregister: t.Tuple[Service, ...]
    register: t.Tuple[Service, ...]


def differences(registered: t.Mapping[str, Entry], wanted: t.Sequence[Service], fingerprint: t.Callable[[Service], str]) -> Differences:
    """Compare by service id. Of several wanted services with one id the last is the one that stays registered."""
    final = {service.id: service for service in wanted}
    changed = {
        service_id for service_id, service in final.items() if service_id not in registered or registered[service_id].fingerprint != fingerprint(service)
    }
    return Differences(
        deregister=tuple(entry.service for service_id, entry in registered.items() if service_id not in final),
        register=tuple(service for service in wanted if service.id in changed),
    )
