# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be written to get from what is registered to what should be."""

from __future__ import annotations

import typing as t

from hypothesis import given
from hypothesis import strategies as some
from registrator.differences import differences
from registrator.service import Entry, Service

SERVICES = some.lists(
    some.builds(Service, id=some.sampled_from("abc"), name=some.sampled_from("xy"), address=some.just(""), port=some.integers(1, 3), container=some.just("c"))
)


def fingerprint(service: Service) -> str:
    return repr(service)


def entries(services: t.Iterable[Service]) -> t.Dict[str, Entry]:
    return {service.id: Entry(service, fingerprint(service)) for service in services}


@given(before=SERVICES, wanted=SERVICES)
def test_once_written_nothing_is_left_to_do(before: t.List[Service], wanted: t.List[Service]) -> None:
    registered = entries(before)
    todo = differences(registered, wanted, fingerprint)
    for service in todo.deregister:
        del registered[service.id]
    registered.update(entries(todo.register))

    assert registered == entries(wanted)
    assert differences(registered, wanted, fingerprint) == ((), ())


def test_equal_ids_are_all_written_once() -> None:
    one, two = (Service("same", name, "", 1, "c") for name in ("one", "two"))
    assert differences({}, [one, two], fingerprint).register == (one, two)
    assert differences(entries([two]), [one, two], fingerprint).register == ()
